import semver from 'semver';

/** A kernel release as `uname -r` prints it, taken apart. */
export interface KernelRelease {
  /** x.y.z, with `-rc.N` for a release candidate: what ranges are compared with */
  version: string;
  /** what the distribution put behind it: ABI number, flavour, architecture; it has no order between distributions */
  suffix: string;
}

/**
 * Understands the release strings of Linux kernels and of the distributions:
 * `6.12.117+deb13-amd64`, `6.1.0-41-cloud-amd64`, `5.14.0-503.el9.x86_64`, `6.8.0-45-generic`,
 * `6.4.0-150600.23.53-default`, `6.10.5-arch1-1`, `6.12-rc4`, `6.18.44-custom`.
 *
 * The leading numbers are the version, two of them mean `.0`; `-rcN` directly behind is a candidate, which semver puts
 * before its release. All else is the suffix, which no range sees: `6.1.0-41` is ABI 41 of 6.1, not older than 6.1.0.
 * @returns undefined when it does not begin like a kernel release
 */
export function parseKernelRelease(release: string): KernelRelease | undefined {
  const match = /^(\d{1,4})\.(\d{1,5})(?:\.(\d{1,5}))?(?![\d])(?:-rc(\d{1,3})(?!\d))?(.*)$/s.exec(release);
  if (!match) return undefined;
  const [, major, minor, patch = '0', candidate, suffix = ''] = match;
  const base = `${Number(major)}.${Number(minor)}.${Number(patch)}`;
  return { version: candidate === undefined ? base : `${base}-rc.${Number(candidate)}`, suffix };
}

/**
 * The version of a running kernel. Debian keeps x.y.0 in the release and tells the stable release that it is built from
 * in `uname -v` (`#1 SMP PREEMPT_DYNAMIC Debian 6.1.158-1 (2025-11-09)`): that one is taken where it is of the same series.
 * @param release uname -r
 * @param build uname -v
 */
export function runningVersion(release: string, build: string): string | undefined {
  const version = parseKernelRelease(release)?.version;
  const debian = /\bDebian (\d{1,4}\.\d{1,5}\.\d{1,5})(?=[-+~])/.exec(build)?.[1];
  if (version === undefined || debian === undefined) return version;
  return semver.major(debian) === semver.major(version) && semver.minor(debian) === semver.minor(version)
    ? debian
    : version;
}

/**
 * Whether a semver range can be asked of a kernel. Prerelease parts other than -rc.N are refused: a range such as
 * `>=6.1.0-41` reads like an ABI number but would be compared as a prerelease.
 * @returns what is wrong, or undefined
 */
export function rangeProblem(range: string): string | undefined {
  if (range.length > 256) return 'is longer than 256 characters';
  if (semver.validRange(withCandidates(range)) === null)
    return 'is no semver range, such as ">=5.10" or ">=6.1 <7"';
  const suffix = /\d-(?!rc\.?\d|\s)[0-9A-Za-z]/.exec(range);
  return suffix
    ? 'names a distribution suffix; suffixes have no order, so give numbers alone, such as ">=6.1.158"'
    : undefined;
}

/** True where version (from parseKernelRelease or runningVersion) lies in the range; candidates count before their release. */
export function versionInRange(version: string, range: string): boolean {
  return semver.satisfies(version, withCandidates(range), { includePrerelease: true });
}

/** Release candidates as semver writes them: the kernel's 6.12-rc1 is 6.12.0-rc.1. */
function withCandidates(range: string): string {
  return range.replace(
    /(?<![\d.])(\d+\.\d+)(\.\d+)?-rc\.?(\d+)/g,
    (_, series, patch, candidate) => `${series}${patch ?? '.0'}-rc.${candidate}`,
  );
}

/** Orders releases as `sort -V` does closely enough to find the newest: numbers by value, the rest by bytes. */
export function compareReleases(a: string, b: string): number {
  const left = a.match(/\d+|\D+/g) ?? [];
  const right = b.match(/\d+|\D+/g) ?? [];
  for (let i = 0; i < Math.max(left.length, right.length); i++) {
    const [x = '', y = ''] = [left[i], right[i]];
    if (x === y) continue;
    if (/^\d/.test(x) && /^\d/.test(y) && Number(x) !== Number(y)) return Number(x) - Number(y);
    return x < y ? -1 : 1;
  }
  return 0;
}
