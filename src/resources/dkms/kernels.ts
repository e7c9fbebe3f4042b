import { excludedBy } from '../../facts/dkms-conf.ts';
import type { HostFacts } from '../../facts/facts.ts';
import type { DkmsPackage } from './package.ts';
import type { DkmsState } from './state.ts';

/** What one installed kernel has of a package, judged by the disk. */
export interface KernelVerdict {
  release: string;
  /** target: to be built · unsupported: the package excludes it · no-headers: nothing to build with */
  role: 'target' | 'unsupported' | 'no-headers';
  /** why it is unsupported */
  why?: string;
  /** the tree holds the modules, made by us from just this source */
  built: boolean;
  /** and the kernel's folder holds the same files */
  installed: boolean;
  /** what stands in the way, for people */
  builtNow: string | null;
  installedNow: string | null;
  reason?: string;
}

/** Judges every kernel that is installed, the running one first. */
export function judgeKernels(found: DkmsPackage, state: DkmsState, facts: HostFacts): KernelVerdict[] {
  const { installed, release: running } = facts.kernel;
  return [...installed]
    .sort((a, b) => Number(b.release === running) - Number(a.release === running))
    .map(({ release, headers }) => {
      const why = excludedBy(found.conf, release, facts.kernel.arch);
      const role = why !== undefined ? 'unsupported' : headers ? 'target' : 'no-headers';
      return { release, role, ...(why ? { why } : {}), ...judge(found, state, release, facts.kernel.arch) };
    });
}

function judge(found: DkmsPackage, state: DkmsState, release: string, arch: string) {
  const { version, modules } = found.conf;
  const folder = `${version}/${release}/${arch}`;
  const tree = state.trees.get(folder);
  const record = state.records.get(release);
  const proof = state.proofs.get(release);
  const proven = proof?.source === found.sha256;
  const files = modules.map(({ built, installed }) => {
    const file = moduleFile(tree, built) ?? moduleFile(tree, installed);
    return { name: installed, sha256: file && tree!.get(file) !== '' ? tree!.get(file)! : undefined, file };
  });
  const complete = files.every((file) => file.sha256 !== undefined);
  const built = proven && complete && files.every(({ file, sha256 }) => proof.built.get(file!) === sha256);
  const there = state.installed.get(release) ?? new Map<string, string>();
  const copies = files.map(({ name, sha256 }) =>
    [...there].filter(([path]) => moduleName(path) === name).map(([, sum]) => sum === sha256),
  );
  const same = copies.every((found) => found.length > 0 && found.every(Boolean));
  const indexed = files.every(({ name }) => state.indexed.has(`${release} ${name}`));
  const installed = built && same && indexed && state.active.has(folder);
  const failed = record && record.rc !== 0 && record.version === version ? record : undefined;
  return {
    built,
    installed,
    builtNow: built
      ? version
      : failed
        ? `failed (rc ${failed.rc})`
        : complete
          ? 'of unknown source'
          : tree
            ? 'leftover of a broken build'
            : null,
    installedNow: installed ? version : installedNow(state, release, arch, copies, version),
    ...(failed && !built
      ? {
          reason: `the last build, by ${failed.by}, ended with ${failed.rc}${failed.why ? `: ${failed.why}` : ''}`,
        }
      : {}),
  };
}

function installedNow(
  state: DkmsState,
  release: string,
  arch: string,
  copies: readonly boolean[][],
  version: string,
): string | null {
  const active = activeVersion(state, release, arch);
  if (active !== undefined && active !== version) return active;
  if (copies.some((found) => found.includes(false))) return 'differs from what was built';
  if (copies.every((found) => found.length === 0)) return null;
  if (active === version) return 'unknown to depmod';
  return 'unknown to dkms';
}

/** The version that dkms takes for installed on a kernel; any, not only the declared one. */
export function activeVersion(state: DkmsState, release: string, arch: string): string | undefined {
  for (const path of state.active) {
    const [version, kernel, machine] = path.split('/');
    if (kernel === release && machine === arch) return version;
  }
  return undefined;
}

function moduleFile(tree: ReadonlyMap<string, string> | undefined, name: string): string | undefined {
  return [...(tree?.keys() ?? [])].find((file) => moduleName(file) === name);
}

/** x of a/b/x.ko.xz; undefined for another kind of file. */
function moduleName(path: string): string | undefined {
  return /([^/]+)\.ko(?:\.(?:xz|gz|zst))?$/.exec(path)?.[1];
}
