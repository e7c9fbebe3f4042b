import type { HostFacts } from '../../facts/facts.ts';
import type { Change, Input, PlanContext, ResourcePlan } from '../kind.ts';
import {
  GUARD,
  guardFile,
  optionsFile,
  optionsPath,
  parameterText,
  QUARANTINE,
  unitFile,
  unitPath,
} from './files.ts';
import { acceptedTexts } from './parameters.ts';
import type { ModuleState } from './probe.ts';
import type { KernelModuleDesired } from './schema.ts';

/** What apply does; plan shows it and steps carry it out. */
export interface ModuleWork {
  /** changes of our files on disk, which never disturb a running module */
  files: readonly Change[];
  /** changes of the running module */
  live: readonly Change[];
  /** why `live` can not be made now */
  hold?: { state: string; reason: string };
  warnings: readonly string[];
}

// Taint bits, Documentation/admin-guide/tainted-kernels.rst
const DIED = 1 << 7;
const WARNED = 1 << 9;
const LOCKED_UP = 1 << 14;

export function planModule(
  input: Input<KernelModuleDesired>,
  current: ModuleState,
  context: PlanContext,
): ResourcePlan {
  const { facts } = context;
  const { desired } = input;
  const gate =
    desired.state === 'absent' ? absentGate(desired, current) : loadedGate(desired, current, facts);
  if (gate) return gate;
  const work = workOf(desired, current, context);
  const live = work.hold ? [] : work.live;
  const warnings = [...work.warnings];
  if (work.hold && work.live.length > 0 && work.files.length > 0)
    warnings.push(`${work.hold.state}: ${work.hold.reason}`);
  const extra = warnings.length > 0 ? { warnings } : {};
  if (work.files.length + live.length > 0)
    return { status: 'change', changes: [...work.files, ...live], ...extra };
  if (work.hold && work.live.length > 0)
    return { status: 'held', changes: work.live, ...work.hold, ...extra };
  return { status: 'ok', reason: okReason(desired, current), ...extra };
}

export function workOf(desired: KernelModuleDesired, current: ModuleState, context: PlanContext): ModuleWork {
  return desired.state === 'absent' ? absentWork(desired, current) : loadedWork(desired, current, context);
}

function loadedGate(
  desired: KernelModuleDesired,
  current: ModuleState,
  facts: HostFacts,
): ResourcePlan | undefined {
  const { name } = desired;
  if (current.quarantine !== undefined)
    return blocked(
      `${name} is quarantined: ${current.quarantine || 'the host went down with it'}`,
      `find out why first (journalctl -b -1 -k); then clear it with: rm ${QUARANTINE}/${name}`,
    );
  if (stuck(current))
    return blocked(
      `${name} is stuck in the state '${current.loaded!.initstate}'`,
      'its init has crashed or hangs; another modprobe would hang too. Reboot the host',
    );
  const unknown =
    current.file && Object.keys(desired.parameters).find((key) => !current.file!.parameters.has(key));
  if (unknown)
    return blocked(
      `${name} has no parameter '${unknown}'`,
      `it has: ${[...current.file!.parameters.keys()].join(', ') || 'none'}; modprobe would ignore it without an error`,
    );
  if (current.builtin) return undefined;
  const reload = current.loaded && current.file && current.file.srcversion !== current.loaded.srcversion;
  if (current.loaded) return reload ? trustGate(current, facts) : undefined;
  if (current.unable)
    return blocked(
      `${name} can not be loaded: ${current.unable}`,
      'a module is loaded on the machine whose kernel it is, by root: become: true',
    );
  if (current.refused)
    return blocked(
      `${name} can not be loaded: ${current.refused}`,
      'somebody wants it so: talk to them, or remove that line',
    );
  if (facts.kernel.tainted & (DIED | LOCKED_UP))
    return blocked(
      `the kernel there has crashed before (tainted ${facts.kernel.tainted})`,
      'nothing is loaded into a kernel after an oops or a lockup; see dmesg, and reboot',
    );
  return trustGate(current, facts);
}

function absentGate({ name }: KernelModuleDesired, current: ModuleState): ResourcePlan | undefined {
  return current.builtin
    ? blocked(`${name} is built into the kernel`, 'it can not be unloaded; boot another kernel')
    : undefined;
}

function loadedWork(
  desired: KernelModuleDesired,
  current: ModuleState,
  { facts, modulesBuilt }: PlanContext,
): ModuleWork {
  const { name } = desired;
  const { loaded, file } = current;
  const files = [...optionsChange(desired, current), ...bootChange(desired, current)];
  const warnings: string[] = [];
  if (desired.boot && !facts.systemd)
    warnings.push('systemd is not the running init there: the unit takes effect once it is');
  if (current.builtin) return { files, live: parameterChanges(desired, current), warnings, ...heldBuiltin };
  if (!loaded) {
    const change: Change = { path: 'loaded', from: null, to: 'live', action: '+' };
    if (!file)
      change.reason =
        'its file is not there yet: a task before this one must install it; the rest is known after apply';
    if (facts.kernel.tainted & WARNED)
      warnings.push('the kernel there has warned before (taint W): see dmesg');
    const hold = rebootHold(desired, current, facts) ?? trustHold(current, facts);
    return { files, live: [change], warnings, ...(hold ? { hold } : {}) };
  }
  const live = parameterChanges(desired, current);
  if (modulesBuilt?.has(name.replaceAll('-', '_')))
    live.unshift({
      path: 'srcversion',
      from: loaded.srcversion,
      to: 'known after apply',
      action: '±',
      reason: 'a task before this one builds it anew',
    });
  else if (!file) warnings.push(`${name} is loaded, but there is no file of it for ${facts.kernel.release}`);
  else if (file.srcversion !== '' && loaded.srcversion !== '' && file.srcversion !== loaded.srcversion)
    live.unshift({
      path: 'srcversion',
      from: loaded.srcversion,
      to: file.srcversion,
      action: '±',
      reason: 'another build is loaded than the one on disk: pending-reload',
    });
  const hold = (live.length > 0 ? drainHold(desired, current) : undefined) ?? trustHold(current, facts);
  if (live.length === 0 && current.unwell !== undefined)
    return { files, live: [unwellChange(current.unwell)], warnings, hold: unwellHold(name) };
  return { files, live, warnings, ...(hold ? { hold } : {}) };
}

function unwellChange(reason: string): Change {
  return { path: 'loaded', from: 'live, unwell', to: 'live', action: '~', reason };
}

function unwellHold(name: string): ModuleWork['hold'] {
  return {
    state: 'unwell',
    reason: `the kernel complained when ${name} was loaded, and has not been started anew since; look at its log`,
  };
}

const heldBuiltin = {
  hold: {
    state: 'pending-reboot',
    reason: 'it is built into the kernel: its parameters stand on the kernel command line',
  },
};

function optionsChange(desired: KernelModuleDesired, current: ModuleState): Change[] {
  const wanted = optionsFile(desired);
  const there = current.ours.get(optionsPath(desired.name));
  if (wanted?.sha256 === there) return [];
  return [fileChange('options', there !== undefined, wanted ? optionsPath(desired.name) : null)];
}

function bootChange(desired: KernelModuleDesired, current: ModuleState): Change[] {
  const unit = current.ours.get(unitPath(desired.name));
  if (!desired.boot) return unit !== undefined || current.enabled ? [fileChange('boot', true, null)] : [];
  const right =
    unit === unitFile(desired.name).sha256 &&
    current.ours.get(GUARD) === guardFile().sha256 &&
    current.enabled;
  return right ? [] : [fileChange('boot', unit !== undefined, 'guarded unit')];
}

function fileChange(path: string, there: boolean, to: string | null): Change {
  return {
    path,
    from: there ? (to === null ? 'present' : 'differs') : null,
    to,
    action: to === null ? '-' : there ? '~' : '+',
  };
}

/** Parameters that are readable and not as declared; others can not be judged, and are left out. */
function parameterChanges(desired: KernelModuleDesired, current: ModuleState): Change[] {
  return Object.entries(desired.parameters).flatMap(([key, value]): Change[] => {
    const now = current.loaded?.parameters.get(key);
    if (now === undefined || acceptedTexts(value).includes(now)) return [];
    return [
      {
        path: `parameter.${key}`,
        from: now,
        to: parameterText(value),
        action: '~',
        reason: 'in force after a reload',
      },
    ];
  });
}

function drainHold({ name }: KernelModuleDesired, { loaded }: ModuleState): ModuleWork['hold'] {
  if (!loaded || (loaded.refcnt === 0 && loaded.holders.length === 0)) return undefined;
  if (loaded.refcnt < 0) return { state: 'pending-reboot', reason: 'this kernel can not unload modules' };
  const by =
    loaded.holders.length > 0 ? `held by ${loaded.holders.join(', ')}` : `in use ${loaded.refcnt} times`;
  return {
    state: 'pending-drain',
    reason: `${name} is ${by}; it is not touched until the guests on it have stopped`,
  };
}

/** The running kernel will not get the module any more, but one that is installed has it. */
function rebootHold(
  { name }: KernelModuleDesired,
  current: ModuleState,
  facts: HostFacts,
): ModuleWork['hold'] {
  const { release, installed } = facts.kernel;
  const running = installed.find((kernel) => kernel.release === release);
  if (current.file || current.kernels.has(release)) return undefined;
  if (!running)
    return {
      state: 'pending-reboot',
      reason: `the running kernel ${release} is not installed there (any more)`,
    };
  if (running.headers || current.kernels.size === 0) return undefined;
  return {
    state: 'pending-reboot',
    reason: `${name} is there for ${[...current.kernels].join(', ')}, not for ${release}`,
  };
}

/** Signatures, where the kernel insists on them; what can not be seen is left to modprobe. */
function trust(
  { file, keys, enrolment }: ModuleState,
  { kernel }: HostFacts,
): 'trusted' | 'unsigned' | 'unknown' | 'enrolling' {
  const enforced = kernel.sigEnforce || (kernel.lockdown !== '' && kernel.lockdown !== 'none');
  if (!enforced || !file) return 'trusted';
  if (file.signer === '') return 'unsigned';
  if (keys.length === 0 || keys.some((key) => key.includes(file.signer))) return 'trusted';
  return enrolment ? 'enrolling' : 'unknown';
}

function trustGate(current: ModuleState, facts: HostFacts): ResourcePlan | undefined {
  switch (trust(current, facts)) {
    case 'unsigned':
      return blocked(
        'the kernel takes signed modules only (Secure Boot or lockdown), and this one is unsigned',
        'is openssl there? dkms signs at the build where it can; then build it again',
      );
    case 'unknown':
      return blocked(
        `the key of '${current.file?.signer}' is not enrolled, and the kernel takes only modules that it trusts`,
        'mokutil --import its certificate there (Debian: /var/lib/dkms/mok.pub), reboot, and confirm at the console',
      );
    default:
      return undefined;
  }
}

function trustHold(current: ModuleState, facts: HostFacts): ModuleWork['hold'] {
  return trust(current, facts) === 'enrolling'
    ? {
        state: 'pending-enrolment',
        reason: `the key of '${current.file?.signer}' is enrolled at the next boot`,
      }
    : undefined;
}

function absentWork({ name }: KernelModuleDesired, current: ModuleState): ModuleWork {
  const files: Change[] = [];
  if (current.ours.has(unitPath(name)) || [...current.notes].some((note) => note.includes('.wants/')))
    files.push(fileChange('boot', true, null));
  if (current.ours.has(optionsPath(name))) files.push(fileChange('options', true, null));
  for (const note of [...current.notes].filter((path) => !path.includes('.wants/')))
    files.push(fileChange(note, true, null));
  if (!current.loaded) return { files, live: [], warnings: [] };
  const live: Change[] = [{ path: 'loaded', from: current.loaded.initstate, to: null, action: '-' }];
  const hold = stuck(current)
    ? { state: 'pending-reboot', reason: `${name} is stuck in the state '${current.loaded.initstate}'` }
    : drainHold({ name } as KernelModuleDesired, current);
  return { files, live, warnings: [], ...(hold ? { hold } : {}) };
}

function stuck({ loaded }: ModuleState): boolean {
  return loaded !== undefined && loaded.initstate !== 'live' && loaded.initstate !== '';
}

function okReason({ name, state }: KernelModuleDesired, current: ModuleState): string {
  if (state === 'absent') return `${name} is not loaded, and nothing of it is kept`;
  if (current.builtin) return `${name} is built into the kernel`;
  return `${name} is live${current.loaded?.srcversion ? `, srcversion ${current.loaded.srcversion}` : ''}`;
}

function blocked(message: string, hint: string): ResourcePlan {
  return { status: 'blocked', code: 'E_BLOCKED', message, hint };
}
