import { versionInRange } from '../../facts/kernel-release.ts';
import { printable } from '../../lib/terminal.ts';
import type { Change, Input, ResourcePlan } from '../kind.ts';
import { type BridgePlan, planBridge, servedByThen } from './bridge/plan.ts';
import { removal, textChange } from './changes.ts';
import { chooseDiskPath, choosePath, commandLine, traitsOf } from './data-path.ts';
import { chosenTarget, ownTexts } from './files.ts';
import { domainValues, type LibvirtPlan, planLibvirt } from './libvirt/plan.ts';
import { type ManagersPlan, planManagers } from './managers/plan.ts';
import { CHOSEN, CONF, FRAGMENTS, KEPT, SERVED } from './paths.ts';
import type { FileAnswer, QemuState } from './probe.ts';
import { declaredValues, everyHasVhostBlk, properties, sectionText } from './profile.ts';
import { TRIAL_VCPUS } from './readback.ts';
import type { QemuDriveDefaults } from './schema.ts';
import { foreignLines, type SplitConf, splitConf, withoutSection, withSection } from './section.ts';

/** The files as they shall be: text, latin1; null where one shall not exist. */
export interface Wanted {
  conf: string | null;
  /** blkfleet's own files by path */
  files: ReadonlyMap<string, string | null>;
  /** what disk.conf points to */
  chosen: string | null;
}

/** All that differs on a host, layer by layer. */
export interface Layers {
  wanted: Wanted;
  /** of QEMU's own files */
  direct: Change[];
  bridge: BridgePlan;
  libvirt: LibvirtPlan;
  managers: ManagersPlan;
}

/** What differs between the profile and the host's files, and between the profile and what QEMU sees. */
export function planQemu(input: Input<QemuDriveDefaults>, current: QemuState): ResourcePlan {
  const { desired } = input;
  if (desired.state === 'present' && current.binaries.length === 0 && desired.absent_ok)
    return { status: 'ok', reason: 'no QEMU is on this host, and absent_ok is declared' };
  const problem = fileProblem(current);
  if (problem) return problem;
  const { direct, bridge, libvirt, managers } = layersOf(desired, current);
  const stopped = libvirt.blocked ?? bridge.blocked;
  if (stopped) return blocked(stopped.message, stopped.hint);
  const changes = [...direct, ...bridge.changes, ...libvirt.changes, ...managers.changes];
  const told = [...bridge.warnings, ...libvirt.warnings, ...managers.warnings];
  if (desired.state === 'absent') {
    if (current.kept) changes.push(removal(KEPT, 'what blkfleet keeps for itself'));
    if (changes.length > 0) return { status: 'change', changes, warnings: [...told, ...bridge.reasons] };
    if (bridge.held.length > 0) return heldPlan(bridge, told);
    return { status: 'ok', reason: 'no default of blkfleet is set', warnings: told };
  }
  const unfit = qemuProblem(desired, current, direct.length === 0);
  if (unfit) return unfit;
  const warnings = [...warningsOf(desired, current), ...told];
  const effective = effectiveChanges(desired, current);
  // The files say it, they were read by this QEMU, and nothing of ours could make it see more.
  if (!direct.some(({ path }) => path === CONF) && effective.length > 0)
    return blocked(
      `QEMU does not see what ${CONF} says: ${effective.map((c) => `${c.path} is ${c.from}, not ${c.to}`).join('; ')}`,
      'this QEMU was built to read another file, or a later group of that file says otherwise; see docs/qemu.md',
    );
  if (libvirt.problems.length > 0)
    return blocked(
      `libvirt makes another command line than the definition says: ${printable(libvirt.problems.slice(0, 8).join('; '))}`,
      'this libvirt or QEMU does not know the value; see virsh domxml-to-native qemu-argv --domain NAME',
    );
  const all = [...changes, ...effective];
  const visible = guestVisible(desired, current);
  if (all.length > 0) {
    const provisional = isProvisional(desired, current);
    return {
      status: 'change',
      changes: all,
      warnings: [...warnings, ...bridge.reasons],
      guestVisible: visible,
      ...(provisional ? { provisional } : {}),
    };
  }
  const notes = commandLines(desired, current);
  if (bridge.held.length > 0) return { ...heldPlan(bridge, warnings), notes, guestVisible: visible };
  return { status: 'ok', reason: reasonText(desired, current), warnings, notes, guestVisible: visible };
}

function heldPlan(
  { held, reasons }: BridgePlan,
  warnings: string[],
): Extract<ResourcePlan, { status: 'held' }> {
  return { status: 'held', changes: held, state: 'pending-drain', reason: reasons.join('; '), warnings };
}

/** Tasks before this one may yet install QEMU, the module or the bridge, by which other texts are right. */
function isProvisional(desired: QemuDriveDefaults, { offers }: QemuState): boolean {
  const { unit, device, served } = offers.bridge;
  const auto = [desired, ...desired.disks].some(({ data_path = desired.data_path }) => data_path === 'auto');
  return offers.seen.length === 0 || (auto && !(unit && device && served.length > 0));
}

/** What is to be done in each layer. */
export function layersOf(desired: QemuDriveDefaults, current: QemuState): Layers {
  const wanted = wantedFiles(desired, current);
  const { offers } = current;
  // A domain's disk may be one that the bridge is yet to serve, or not to serve any more.
  const bridge = { ...offers.bridge, served: servedByThen(desired, current) };
  return {
    wanted,
    direct: fileChanges(current, wanted),
    bridge: planBridge(desired, current),
    libvirt: planLibvirt(desired, current.libvirt, { ...offers, bridge }),
    managers: planManagers(desired, current.managers),
  };
}

/** The files for this declaration on this host. */
export function wantedFiles(desired: QemuDriveDefaults, current: QemuState): Wanted {
  const split = splitConf(confText(current)) as SplitConf;
  const files = ownTexts(desired, current.offers);
  for (const path of current.leftDisks) files.set(path, null);
  const chosen = chosenTarget(desired, current.offers);
  if (desired.state === 'present')
    return { conf: withSection(split, sectionText(desired, current.offers.seen)), files, chosen };
  return { conf: split.section === null ? confText(current) : withoutSection(split), files, chosen };
}

/** The text of qemu.conf; null where there is none. */
export function confText({ conf }: QemuState): string | null {
  return conf.is === 'file' ? conf.text : null;
}

function fileProblem(current: QemuState): ResourcePlan | undefined {
  const { conf } = current;
  if (conf.is === 'big')
    return blocked(`${CONF} is larger than 64 KiB`, 'no QEMU configuration is: look at it');
  if (conf.is === 'other')
    return blocked(
      `${CONF} is no regular file that can be read`,
      'a link is not followed; put a file in its place',
    );
  // Those of disks.d may be others'.
  const own = [...current.files].filter(([path]) => !path.startsWith(`${SERVED}/`));
  for (const [path, { is }] of own)
    if (is === 'other' || is === 'big') return blocked(`${path} is not a file of blkfleet`, 'move it away');
  if (current.chosen === '') return blocked(`${CHOSEN} is not the link of blkfleet`, 'move it away');
  const split = splitConf(confText(current));
  if ('problem' in split)
    return blocked(
      `${CONF}: ${split.problem}`,
      "put the marks back, or remove blkfleet's lines and both marks",
    );
  return undefined;
}

/** Where QEMU can not do what is declared. `settled`: our files are as declared, so a QEMU that fails does so by others. */
function qemuProblem(
  desired: QemuDriveDefaults,
  current: QemuState,
  settled: boolean,
): ResourcePlan | undefined {
  if (current.notSeen === 'unknown')
    return blocked('QEMU on this architecture is not known', 'leave the host out with when:');
  const { seen } = current.offers;
  const stranger = seen.find(
    (qemu) =>
      qemu.unknown !== undefined ||
      (qemu.error === undefined && !versionInRange(qemu.version, desired.qemu_versions)),
  );
  if (stranger)
    return blocked(
      `${stranger.path} is no QEMU that is known: ${stranger.unknown ?? `it says that it is ${stranger.version}, and ${desired.qemu_versions} is accepted`}`,
      'nothing is written for a QEMU whose answers may mean something else; name another one in binaries, or widen qemu_versions once you have tried it',
    );
  const broken = seen.find((qemu) => qemu.error !== undefined);
  const ours = splitConf(confText(current)) as SplitConf;
  if (broken && (settled || ours.section === null))
    return blocked(
      `${broken.path} does not start: ${printable(broken.error!)}`,
      `try ${broken.path} -M none -S by hand, and mend ${CONF}`,
    );
  if (desired.data_path === 'vhost-blk' && seen.length > 0 && !broken && !everyHasVhostBlk(seen))
    return blocked(
      `data_path is vhost-blk, and ${withoutVhostBlk(current)} has no vhost-blk-pci`,
      'only patched builds of QEMU have it; declare data_path: auto, or name such a build in binaries',
    );
  return undefined;
}

function withoutVhostBlk({ offers: { seen } }: QemuState): string {
  return seen
    .filter((qemu) => qemu.vhostBlk === null)
    .map((qemu) => `${qemu.path} (${qemu.version})`)
    .join(', ');
}

function fileChanges(current: QemuState, wanted: Wanted): Change[] {
  const changes: Change[] = [];
  const texts: [string, FileAnswer, string | null][] = [
    [CONF, current.conf, wanted.conf],
    ...[...wanted.files].map(([path, text]): [string, FileAnswer, string | null] => [
      path,
      // One that is not declared any more is told by its name alone.
      current.files.get(path) ?? { is: 'file', text: '' },
      text,
    ]),
  ];
  for (const [path, answer, to] of texts) {
    const from = answer.is === 'file' ? answer.text : null;
    if (from !== to) changes.push(textChange(path, from, to));
  }
  const to = wanted.chosen;
  if (current.chosen !== to)
    changes.push({
      path: CHOSEN,
      from: current.chosen === null ? null : printable(current.chosen),
      to,
      action: current.chosen === null ? '+' : to === null ? '-' : '~',
    });
  return changes;
}

/** Values that a QEMU sees and that are not those declared, named `PROGRAM DRIVER.PROPERTY`. */
function effectiveChanges(desired: QemuDriveDefaults, current: QemuState): Change[] {
  const declared = declaredValues(desired);
  return current.offers.seen.flatMap((qemu) =>
    qemu.error !== undefined
      ? []
      : properties.flatMap((property): Change[] => {
          const seen = qemu.values[property];
          const auto = property === 'num-queues' && desired.queues === 'vcpus';
          if (seen === (auto ? String(TRIAL_VCPUS) : declared[property])) return [];
          return [
            {
              path: `${qemu.path} virtio-blk-pci.${property}`,
              from: seen === undefined ? null : shown(property, printable(seen)),
              to: auto ? 'vcpus' : declared[property],
              action: '~',
              reason: `as QEMU ${qemu.version} sees it`,
            },
          ];
        }),
  );
}

/** The throw-away machine's number of vCPUs means that QEMU follows it. */
function shown(property: string, value: string): string {
  return property === 'num-queues' && value === String(TRIAL_VCPUS) ? 'vcpus' : value;
}

function warningsOf(desired: QemuDriveDefaults, current: QemuState): string[] {
  const warnings: string[] = [];
  const { seen } = current.offers;
  const split = splitConf(confText(current)) as SplitConf;
  if (current.binaries.length === 0)
    warnings.push('no QEMU is on this host yet: a task before this one has to install it');
  if (current.libvirtd && !desired.libvirt)
    warnings.push(
      `no effect on libvirt domains: libvirt starts QEMU with -no-user-config, which leaves ${CONF} out; declare libvirt: with the domains that shall follow the profile`,
    );
  if (current.notSeen === 'unsafe')
    warnings.push(
      `not read back: ${CONF} holds groups other than [global], which a trial could not start without touching what they name`,
    );
  if (everyHasVhostBlk(seen))
    warnings.push(
      'the defaults of vhost-blk-pci are known to be properties of it, but not read back: such a disk can not be made without a block device and /dev/vhost-blk',
    );
  const lines = foreignLines(split, confText(current) ?? '');
  if (lines.length > 0)
    warnings.push(
      `${CONF} names virtio-blk or vhost-blk in line ${lines.join(', ')} too, outside blkfleet's lines; of two defaults the later one counts`,
    );
  return warnings;
}

function reasonText(desired: QemuDriveDefaults, current: QemuState): string {
  const { path, reason } = choosePath(desired.data_path, current.offers);
  const versions = current.offers.seen.map((qemu) => `${qemu.path} ${qemu.version}`).join(', ');
  return `${versions === '' ? 'the files are as declared' : `${versions} sees them`}; cache, aio and detect-zeroes have no default in QEMU: they stand in ${FRAGMENTS}; data path ${path} (${reason})`;
}

/** A command line a declared disk, to be typed as it stands. */
function commandLines(desired: QemuDriveDefaults, { offers }: QemuState): string[] {
  const traits = traitsOf(offers);
  const program = offers.seen[0]?.path ?? 'qemu-system-x86_64';
  return desired.disks.map((disk) => {
    const { path, reason } = chooseDiskPath(desired, disk, offers);
    const who = path === 'vhost-user-blk' ? ', by root or a member of the group kvm' : '';
    return `disk ${disk.name} by ${path} (${reason}); a guest from it${who}:\n${commandLine(program, disk.name, path, desired, traits)}`;
  });
}

/** What guests see of their disks here: a guest can migrate only between hosts where it is the same. */
function guestVisible(desired: QemuDriveDefaults, current: QemuState): Record<string, string> {
  const { path } = choosePath(desired.data_path, current.offers);
  const values: Record<string, string> = { 'data path of directly started guests': path };
  for (const property of properties) {
    const seen = current.offers.seen.map(({ values: all }) => shown(property, all[property] ?? 'unset'));
    if (seen.length > 0) values[`virtio-blk-pci ${property}`] = [...new Set(seen)].join(' and ');
  }
  for (const domain of current.libvirt.domains)
    if (current.libvirt.chosen.has(domain.uuid)) Object.assign(values, domainValues(domain));
  return values;
}

function blocked(message: string, hint: string): ResourcePlan {
  return { status: 'blocked', code: 'E_BLOCKED', message, hint };
}
