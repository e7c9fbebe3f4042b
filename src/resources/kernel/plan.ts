import type { HostFacts, InstalledKernel } from '../../facts/facts.ts';
import { compareReleases, runningVersion, versionInRange } from '../../facts/kernel-release.ts';
import type { Change, Input, PlanContext, ResourcePlan } from '../kind.ts';
import type { KernelState } from './probe.ts';
import type { KernelDesired } from './schema.ts';

type Blocked = Extract<ResourcePlan, { status: 'blocked' }>;

/** Gates first: a host that fails one is stopped with nothing changed. Then the headers that are missing. */
export function planKernel(
  { desired }: Input<KernelDesired>,
  current: KernelState,
  { facts }: PlanContext,
): ResourcePlan {
  const gate = gateProblem(desired, facts) ?? rebootFirst(desired, facts);
  if (gate) return gate;
  const { wanted, lost } = headersWanted(desired, current, facts);
  const warnings = [
    ...lost.map(
      (release) =>
        `${release} is installed without headers, and apt's sources do not have them (any more): no module can be built for it; remove that kernel or add a source`,
    ),
    ...rebootWarning(facts),
  ];
  const extra = warnings.length > 0 ? { warnings } : {};
  if (wanted.length === 0) return { status: 'ok', reason: reasonText(desired, facts), ...extra };
  const problem = installProblem(wanted, facts);
  if (problem) return problem;
  const changes: Change[] = wanted.map((release) => ({
    path: `headers.${release}`,
    from: null,
    to: `linux-headers-${release}`,
    action: '+',
    reason: release === facts.kernel.release ? 'the running kernel' : 'an installed kernel',
  }));
  return { status: 'change', changes, facts: { headersAdded: wanted }, ...extra };
}

function gateProblem(desired: KernelDesired, { kernel }: HostFacts): Blocked | undefined {
  if (desired.release !== undefined) {
    const version = runningVersion(kernel.release, kernel.version);
    if (version === undefined)
      return blocked(
        `the kernel release ${kernel.release} is not understood`,
        'expected it to begin with x.y.z',
      );
    if (!versionInRange(version, desired.release))
      return blocked(
        `the running kernel ${kernel.release} (${version}) is not in the range ${desired.release}`,
        'boot another kernel there, or leave the host out with -l',
      );
  }
  if (desired.secure_boot === 'off' && kernel.secureBoot !== false)
    return kernel.secureBoot
      ? blocked(
          'Secure Boot is on',
          'turn it off in the firmware, or declare secure_boot: any and enrol the key of DKMS with mokutil',
        )
      : blocked(
          'whether Secure Boot is on can not be read',
          'mount efivarfs at /sys/firmware/efi/efivars, or declare secure_boot: any',
        );
  const lockdown = kernel.lockdown || 'none';
  if (desired.lockdown && !(desired.lockdown as string[]).includes(lockdown))
    return blocked(
      `kernel lockdown is ${lockdown}, accepted is ${desired.lockdown.join(' or ')}`,
      'lockdown is set by Secure Boot or by lockdown= on the kernel command line',
    );
  return undefined;
}

/** The running kernel's folder vanishes where an upgrade removed it: nothing can be built or loaded for it. */
function rebootFirst({ headers }: KernelDesired, { kernel }: HostFacts): Blocked | undefined {
  if (headers !== 'all' && headers !== 'running') return undefined;
  if (kernel.installed.some((k) => k.release === kernel.release)) return undefined;
  return blocked(
    `reboot first: the running kernel ${kernel.release} has no /lib/modules/${kernel.release} any more`,
    'or declare headers: installed, where only the kernels on disk matter',
  );
}

/** Releases whose headers apply will install, and those (not running) whose headers nobody has. */
export function headersWanted(
  desired: KernelDesired,
  current: KernelState,
  { kernel }: HostFacts,
): { wanted: string[]; lost: string[] } {
  if (desired.headers === 'none') return { wanted: [], lost: [] };
  const inScope = (k: InstalledKernel) => desired.headers !== 'running' || k.release === kernel.release;
  const missing = kernel.installed.filter((k) => inScope(k) && !k.headers).map((k) => k.release);
  const gone = (release: string) => current.lists && current.candidates.get(release) !== true;
  const lost = missing.filter((release) => release !== kernel.release && gone(release));
  return { wanted: missing.filter((release) => !lost.includes(release)), lost };
}

function installProblem(wanted: readonly string[], facts: HostFacts): Blocked | undefined {
  const names = wanted.join(', ');
  if (facts.packages.manager !== 'apt')
    return blocked(
      `headers are missing for ${names}, and only apt can be used to install them so far`,
      'install kernel-devel or kernel-default-devel of exactly that release by hand',
    );
  if (!facts.packages.healthy)
    return blocked(
      `headers are missing for ${names}, but dpkg has packages that are not fully installed`,
      'see dpkg --audit there, mend it with dpkg --configure -a and apt-get -f install',
    );
  // apt reads a trailing + or - as an instruction.
  const odd = wanted.find((release) => !/[A-Za-z0-9]$/.test(release));
  if (odd) return blocked(`no package can hold the headers of ${odd}`, 'it is a kernel built by hand');
  return undefined;
}

function rebootWarning({ kernel }: HostFacts): string[] {
  const newest = kernel.installed
    .filter((k) => k.image)
    .map((k) => k.release)
    .sort(compareReleases)
    .at(-1);
  return newest !== undefined && compareReleases(newest, kernel.release) > 0
    ? [`reboot pending: ${newest} is installed, ${kernel.release} runs`]
    : [];
}

function reasonText(desired: KernelDesired, { kernel }: HostFacts): string {
  const parts = [
    desired.release === undefined ? kernel.release : `${kernel.release} is in the range ${desired.release}`,
  ];
  if (desired.headers === 'running') parts.push('its headers are there');
  if (desired.headers === 'all' || desired.headers === 'installed') {
    const count = kernel.installed.filter((k) => k.headers).length;
    parts.push(`headers for ${count} of ${kernel.installed.length} installed kernels`);
  }
  return parts.join(', ');
}

function blocked(message: string, hint: string): Blocked {
  return { status: 'blocked', code: 'E_BLOCKED', message, hint };
}
