import type { HostFacts } from '../../facts/facts.ts';
import type { Change, Input, PlanContext, ResourcePlan } from '../kind.ts';
import { hookFiles } from './hooks.ts';
import { activeVersion, judgeKernels, type KernelVerdict } from './kernels.ts';
import { type DkmsPackage, nameOf, packageOf } from './package.ts';
import { PACKAGES, SOURCES } from './paths.ts';
import type { DkmsDesired } from './schema.ts';
import type { DkmsState } from './state.ts';

/** Everything that apply does comes from here: plan shows it, steps carry it out. */
export interface Work {
  name: string;
  pushSource: boolean;
  register: boolean;
  kernels: readonly KernelVerdict[];
  /** those of `kernels` to build or install */
  pending: readonly KernelVerdict[];
  hooks: boolean;
  /** versions to remove */
  remove: readonly string[];
  /** old versions that a kernel still needs, with that kernel */
  kept: readonly { version: string; release: string }[];
}

export function planDkms(input: Input<DkmsDesired>, state: DkmsState, { facts }: PlanContext): ResourcePlan {
  return input.desired.state === 'absent' ? planAbsent(input, state) : planPresent(input, state, facts);
}

/** What differs from the declared state, by the disk. Old versions go only where no kernel depends on them. */
export function workOf(input: Input<DkmsDesired>, state: DkmsState, facts: HostFacts): Work {
  const found = packageOf(input)!;
  const { name, version } = found.conf;
  const kernels = judgeKernels(found, state, facts);
  const pending = kernels.filter((kernel) => kernel.role === 'target' && !(kernel.built && kernel.installed));
  const old = otherVersions(state, version);
  const kept = kernels
    .filter((kernel) => kernel.role !== 'target')
    .map(({ release }) => ({ release, version: activeVersion(state, release, facts.kernel.arch) ?? '' }))
    .filter((dependent) => old.includes(dependent.version));
  return {
    name,
    pushSource: state.source !== 'same',
    register: state.versions.get(version) !== 'right',
    kernels,
    pending,
    hooks: hookFiles(found).some(({ path, sha256 }) => state.ours.get(path) !== sha256),
    remove: input.desired.keep_old ? [] : old.filter((other) => !kept.some((k) => k.version === other)),
    kept,
  };
}

function planPresent(input: Input<DkmsDesired>, state: DkmsState, facts: HostFacts): ResourcePlan {
  const found = packageOf(input)!;
  const gate = gateProblem(found, state, facts);
  if (gate) return gate;
  const work = workOf(input, state, facts);
  const changes = presentChanges(found, state, work);
  const warnings = warningsOf(found, state, work, facts);
  const extra = warnings.length > 0 ? { warnings } : {};
  if (changes.length > 0) {
    const running = work.pending.some((kernel) => kernel.release === facts.kernel.release);
    // The kernel names modules with underscores, whatever their files are called.
    const modulesBuilt = found.conf.modules.map(({ installed }) => installed.replaceAll('-', '_'));
    return { status: 'change', changes, ...(running ? { facts: { modulesBuilt } } : {}), ...extra };
  }
  const lacking = work.kernels.find((kernel) => kernel.release === facts.kernel.release);
  if (lacking?.role === 'no-headers' && !lacking.installed)
    return {
      status: 'held',
      state: 'no-headers',
      reason: `the running kernel ${lacking.release} has no headers, so nothing can be built for it`,
      changes: [kernelChange(lacking, 'built', found.conf.version)],
      ...extra,
    };
  const count = work.kernels.filter((kernel) => kernel.installed).length;
  return {
    status: 'ok',
    reason: `${work.name} ${found.conf.version} is installed for ${count} of ${work.kernels.length} kernels`,
    ...extra,
  };
}

function gateProblem(found: DkmsPackage, state: DkmsState, facts: HostFacts): ResourcePlan | undefined {
  const { name, version } = found.conf;
  const folder = `${SOURCES}/${name}-${version}`;
  const blocked = (message: string, hint: string): ResourcePlan => ({
    status: 'blocked',
    code: 'E_BLOCKED',
    message,
    hint,
  });
  if (state.source === 'link')
    return blocked(`${folder} is not a folder there`, 'remove it by hand, after a look at what it is');
  if (state.source === 'other') {
    const shown = state.differing.slice(0, 5).join(', ') + (state.differing.length > 5 ? ', …' : '');
    return blocked(
      `${name} ${version} is there with other source: ${shown} differ${state.differing.length === 1 ? 's' : ''}`,
      `a version is one source: raise PACKAGE_VERSION in dkms.conf, or if ${folder} was edited there, remove that folder`,
    );
  }
  const roles = judgeKernels(found, state, facts);
  if (roles.some((kernel) => kernel.role === 'target')) return undefined;
  if (roles.some((kernel) => kernel.role === 'no-headers'))
    return blocked(
      'no installed kernel has headers, so nothing can be built',
      'declare kernel: { headers: all } in a task before this one',
    );
  return roles.length === 0
    ? blocked(
        'no kernel is installed there: /lib/modules is empty',
        'modules are built on the host that loads them',
      )
    : blocked(
        `${name} supports none of the installed kernels: ${roles[0]!.release}: ${roles[0]!.why}`,
        'leave the host out with -l, or gate it with kernel: { release: … }',
      );
}

function presentChanges(found: DkmsPackage, state: DkmsState, work: Work): Change[] {
  const { version } = found.conf;
  const changes: Change[] = [];
  if (work.pushSource) changes.push({ path: 'source', from: null, to: version, action: '+' });
  if (work.register) {
    const now = state.versions.get(version);
    const from = now === undefined ? null : now === 'missing' ? 'source link dangling' : 'other source link';
    changes.push({ path: 'registered', from, to: version, action: from === null ? '+' : '~' });
  }
  for (const kernel of work.pending) {
    if (!kernel.built) changes.push(kernelChange(kernel, 'built', version));
    changes.push(kernelChange(kernel, 'installed', version));
  }
  if (work.hooks) {
    const some = hookFiles(found).some(({ path }) => state.ours.has(path));
    changes.push({ path: 'hooks', from: some ? 'differ' : null, to: 'present', action: some ? '~' : '+' });
  }
  changes.push(...work.remove.map(removal));
  return changes;
}

function kernelChange(kernel: KernelVerdict, part: 'built' | 'installed', version: string): Change {
  const from = part === 'built' ? kernel.builtNow : kernel.installedNow;
  return {
    path: `kernel.${kernel.release}.${part}`,
    from,
    to: version,
    action: from === null ? '+' : '~',
    ...(part === 'built' && kernel.reason ? { reason: kernel.reason } : {}),
  };
}

function removal(version: string): Change {
  return { path: `version.${version}`, from: 'present', to: null, action: '-' };
}

function warningsOf(found: DkmsPackage, state: DkmsState, work: Work, facts: HostFacts): string[] {
  const warnings: string[] = [];
  if (!state.tool) warnings.push('dkms is not installed there (yet): a task before this one must install it');
  const { release, secureBoot, sigEnforce } = facts.kernel;
  if ((secureBoot || sigEnforce) && work.pending.length > 0)
    warnings.push(
      'the kernel there takes signed modules only: dkms signs with a key of the host (Debian: /var/lib/dkms/mok.pub), which must be enrolled by mokutil before anything can be loaded',
    );
  if (!work.kernels.some((kernel) => kernel.release === release))
    warnings.push(`the running kernel ${release} is not installed there (any more): reboot before loading`);
  for (const kernel of work.kernels) {
    if (kernel.role === 'unsupported')
      warnings.push(`${kernel.release}: unsupported, not built: ${kernel.why}`);
    if (kernel.role === 'no-headers' && !kernel.installed)
      warnings.push(`${kernel.release}: not built, it has no headers; it boots without ${found.conf.name}`);
  }
  for (const { version, release: kernel } of work.kept)
    warnings.push(`version ${version} stays: ${kernel} uses it and can not get ${found.conf.version}`);
  return warnings;
}

/** Versions beside `version` of which the host has anything. */
function otherVersions(state: DkmsState, version: string | undefined): string[] {
  const all = new Set([...state.versions.keys(), ...state.pushed]);
  return [...all].filter((other) => other !== version).sort();
}

function planAbsent(input: Input<DkmsDesired>, state: DkmsState): ResourcePlan {
  const name = nameOf(input);
  const changes = otherVersions(state, undefined).map(removal);
  const orphans = [...state.installed].filter(([, files]) => files.size > 0).map(([kernel]) => kernel);
  if (changes.length === 0)
    changes.push(
      ...orphans.map(
        (kernel): Change => ({ path: `kernel.${kernel}.installed`, from: 'present', to: null, action: '-' }),
      ),
    );
  if (hooksLeft(state, name)) changes.push({ path: 'hooks', from: 'present', to: null, action: '-' });
  if (state.records.size > 0) changes.push({ path: 'records', from: 'present', to: null, action: '-' });
  return changes.length > 0
    ? { status: 'change', changes }
    : { status: 'ok', reason: `there is nothing of ${name}` };
}

/** Whether our part in the hooks is there: the package's own file, or with no other package the hooks themselves. */
function hooksLeft(state: DkmsState, name: string): boolean {
  return state.ours.has(`${PACKAGES}/${name}`) || (!state.others && state.ours.size > 0);
}
