import { printable } from '../../../lib/terminal.ts';
import type { Change } from '../../kind.ts';
import type { HostOffers } from '../data-path.ts';
import { traitsOf } from '../data-path.ts';
import { APPARMOR } from '../paths.ts';
import type { QemuDriveDefaults } from '../schema.ts';
import { type Split, splitConf, withoutSection, withSection } from '../section.ts';
import type { Domain } from './domain.ts';
import { nativeProblems } from './native.ts';
import { type DomainPlan, domainByProfile, domainRestored, type Offers } from './policy.ts';
import type { LibvirtState } from './probe.ts';
import { attribute, child } from './xml.ts';

/** A domain whose persistent definition is to be changed. */
export interface DomainChange {
  domain: Domain;
  /** the definition as it shall be */
  text: string;
  /** as before blkfleet: what is kept of it can go */
  restored: boolean;
}

export interface LibvirtPlan {
  changes: Change[];
  domains: readonly DomainChange[];
  /** uuids whose kept definition is of no more use: gone, or as before already */
  forget: readonly string[];
  /** local rules of AppArmor as they shall be; undefined where they stay */
  apparmor?: string | null;
  warnings: string[];
  /** domains that are as declared and whose command line says otherwise */
  problems: string[];
  /** why the host can not carry the policy */
  blocked?: { message: string; hint: string };
}

const RULES = '  /run/vhost-blk/*.sock rw,\n';
/** libvirt's first version with <iothreads> of a disk. */
const MAPPING_SINCE = 10;

/** What of libvirt's domains differs from the policy, or from what was before where there is none any more. */
export function planLibvirt(profile: QemuDriveDefaults, state: LibvirtState, host: HostOffers): LibvirtPlan {
  const plan: LibvirtPlan = { changes: [], domains: [], forget: [], warnings: [], problems: [] };
  if (state.is === 'unasked') return plan;
  const policy = profile.state === 'present' ? profile.libvirt : undefined;
  const blocked = refusal(policy, state);
  if (blocked) return { ...plan, blocked };
  if (state.is === 'missing') {
    plan.warnings.push('no libvirt is here (no virsh): its policy has no effect');
    return plan;
  }
  const offers = offersOf(state, host);
  const domains: DomainChange[] = [];
  const forget: string[] = [];
  let behindSockets = false;
  for (const domain of state.domains) {
    const original = state.originals.get(domain.uuid);
    const chosen = policy !== undefined && state.chosen.has(domain.uuid);
    if (!chosen && !original) continue;
    const made = chosen
      ? domainByProfile(profile, domain, original, offers)
      : domainRestored(domain, original!);
    plan.changes.push(...changesOf(domain, made));
    if (made.text !== domain.text) domains.push({ domain, text: made.text, restored: !chosen });
    else if (!chosen) forget.push(domain.uuid);
    if (chosen) {
      behindSockets ||= made.text.includes("type='vhostuser'");
      plan.warnings.push(...warningsOf(domain, made, state));
      const native = state.natives.get(domain.uuid);
      if (made.text === domain.text) plan.problems.push(...readBack(domain, native, profile, plan.warnings));
    }
  }
  const known = new Set(state.domains.map(({ uuid }) => uuid));
  forget.push(...[...state.originals.keys()].filter((uuid) => !known.has(uuid)));
  if (forget.length > 0)
    plan.changes.push({
      path: 'libvirt kept definitions',
      from: `${forget.length} of no more use`,
      to: null,
      action: '-',
    });
  if (policy && state.chosen.size === 0)
    plan.warnings.push(`no domain of ${policy.uri} has a name like ${policy.domains.join(', ')}`);
  return { ...plan, domains, forget, ...apparmorPlan(state, behindSockets, plan) };
}

/** What of a definition does not get to QEMU; where libvirt makes no command line of it, a warning says why. */
function readBack(
  domain: Domain,
  native: string | undefined,
  profile: QemuDriveDefaults,
  warnings: string[],
): string[] {
  const said = /^error: .*/m.exec(native ?? '')?.[0].slice(0, 300);
  if (native !== undefined && said === undefined)
    return nativeProblems(domain, native, profile).map((line) => `${label(domain)} ${printable(line)}`);
  const why = said === undefined ? 'this driver of libvirt makes no command lines' : printable(said);
  warnings.push(`${label(domain)} is not read back as QEMU would see it: ${why}`);
  return [];
}

function refusal(policy: QemuDriveDefaults['libvirt'], state: LibvirtState): LibvirtPlan['blocked'] {
  if (policy && state.keptUri !== null && state.keptUri !== policy.uri)
    return {
      message: `the policy of ${state.keptUri} is still in force here, and the declared one is of ${policy.uri}`,
      hint: 'undo the former first: apply with state: absent, or without libvirt:',
    };
  if (state.is === 'error')
    return {
      message: `libvirt does not answer: ${printable(state.error)}`,
      hint: `try virsh -c ${policy?.uri ?? state.keptUri ?? ''} version on the host`,
    };
  if (state.is === 'missing' && state.originals.size > 0)
    return {
      message: 'definitions of domains are kept here, and virsh is gone',
      hint: 'install libvirt-clients again, so that they can be put back',
    };
  return undefined;
}

function offersOf(state: LibvirtState, host: HostOffers): Offers {
  const { bridge } = host;
  return {
    sockets:
      bridge.unit && bridge.device
        ? new Map(bridge.served.map(({ source, socket }) => [source, socket]))
        : new Map(),
    mapping: traitsOf(host).mapping && Number(state.version.split('.')[0]) >= MAPPING_SINCE,
  };
}

function changesOf(domain: Domain, made: DomainPlan): Change[] {
  return made.drift.map(({ target, from, to, reason }) => ({
    path: `${label(domain)} ${printable(target)}`,
    from: printable(from),
    to: printable(to),
    action: '~',
    reason: printable(reason),
  }));
}

function warningsOf(domain: Domain, made: DomainPlan, state: LibvirtState): string[] {
  const warnings = made.left.map((line) => `${label(domain)} ${printable(line)}`);
  if (made.drift.length > 0 && state.running.has(domain.uuid))
    warnings.push(`${label(domain)} runs: it is not touched, and has the new values from its next start`);
  return warnings;
}

/** What a guest sees of its disks: a guest can migrate only to a host where it is the same. */
export function domainValues(domain: Domain): Record<string, string> {
  return Object.fromEntries(
    domain.disks
      .filter(({ bus }) => bus === 'virtio')
      .flatMap((disk) => {
        const driver = child(disk.element, 'driver');
        const of = (name: string) => printable(attribute(driver, name) ?? '');
        const at = `${label(domain)} ${printable(disk.target)}`;
        return [
          [`${at} queues`, of('queues') || 'vcpus'],
          [`${at} queue_size`, of('queue_size') || 'default'],
        ];
      }),
  );
}

/** `domain NAME`, as people know it. */
const label = ({ name }: Domain) => `domain ${printable(Buffer.from(name, 'latin1').toString('utf8'))}`;

/** libvirt allows a domain the sockets of its network cards, not those of its disks. */
function apparmorPlan(
  state: LibvirtState,
  needed: boolean,
  plan: LibvirtPlan,
): Pick<LibvirtPlan, 'apparmor'> {
  if (state.apparmor === undefined) return {};
  const split: Split = splitConf(state.apparmor);
  if ('problem' in split) {
    plan.warnings.push(`${APPARMOR}: ${split.problem}; it is left as it is`);
    return {};
  }
  if (!needed && split.section === null) return {};
  const text = needed ? withSection(split, RULES, { mayMove: false }) : withoutSection(split);
  if (text === state.apparmor) return {};
  plan.changes.push({
    path: APPARMOR,
    from: split.section === null ? null : 'the sockets of vhost-blk@ units',
    to: needed ? 'the sockets of vhost-blk@ units' : null,
    action: needed ? (split.section === null ? '+' : '~') : '-',
    reason: 'libvirt itself allows a domain no socket of a disk',
  });
  return { apparmor: text };
}
