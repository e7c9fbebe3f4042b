import { createHash } from 'node:crypto';
import { chmod, mkdir, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { shellQuote } from '../../lib/shell.ts';
import { cacheFolder, type Log, withLock } from './cache.ts';
import { findMirror, sourcesFor } from './mirror.ts';
import { asRoot } from './privilege.ts';
import { runTool } from './run.ts';

export interface RootSpec {
  /** `bullseye`, `bookworm`, `trixie`, `sid`, or with `-backports`; updates and security come with it */
  suite: string;
  extraSuites?: readonly string[];
  /** packages beside the essential ones; `name/suite` takes one of that suite */
  include: readonly string[];
  /** sh text, run in the root at the end (sh -eu, without a network of its own) */
  setup?: string;
  /** absolute path in the root → content; written before `setup`, mode 0644 */
  setupFiles?: Readonly<Record<string, string>>;
  /** leaves apt's lists in the root, so that its apt can install at once; default: removed */
  keepLists?: boolean;
}

// Counts up when the way a root is made changes, so that older ones are not taken for it.
const FORMAT = 1;

/**
 * A Debian root folder from the cache, made on first use. Others share it: copy it before you write to it.
 * @param log progress, a line each
 * @returns the folder, root-owned; whole, since it gets its name only at the end
 * @throws FleetError E_FILE without a mirror, E_STEP when mmdebstrap fails (with its last lines)
 */
export async function buildRoot(spec: RootSpec, log: Log, signal?: AbortSignal): Promise<string> {
  const key = rootKey(spec);
  const roots = join(cacheFolder(), 'roots');
  const target = join(roots, key);
  if (await exists(target)) return target;
  return withLock(join(roots, `${key}.lock`), log, async () => {
    if (await exists(target)) return target;
    await removeLeftovers(roots, key);
    const work = join(roots, `${key}.partial-${process.pid}`);
    try {
      await mkdir(work, { recursive: true });
      await makeRoot(spec, work, log, signal);
      await rename(join(work, 'root'), target);
    } finally {
      await removeTree(work);
    }
    return target;
  });
}

/** The name of a root in the cache: readable, and unique for what the spec says. */
export function rootKey(spec: RootSpec): string {
  const text = JSON.stringify([
    FORMAT,
    spec.suite,
    spec.extraSuites ?? [],
    [...spec.include].sort(),
    spec.setup ?? '',
    Object.entries(spec.setupFiles ?? {}).sort(([a], [b]) => (a < b ? -1 : 1)),
    ...(spec.keepLists ? ['lists'] : []),
  ]);
  return `${spec.suite}-${createHash('sha256').update(text).digest('hex').slice(0, 16)}`;
}

/** Removes a tree that holds files of root. */
export async function removeTree(path: string): Promise<void> {
  if (process.getuid?.() === 0) await rm(path, { recursive: true, force: true });
  else if (await exists(path)) await runTool(await asRoot(['rm', '-rf', '--one-file-system', '--', path]));
}

async function makeRoot(spec: RootSpec, work: string, log: Log, signal?: AbortSignal): Promise<void> {
  const mirror = await findMirror();
  const sources = join(work, 'mirror.sources');
  await writeFile(sources, sourcesFor(mirror, spec.suite, spec.extraSuites));
  const files = join(work, 'files');
  await mkdir(files);
  for (const [path, text] of Object.entries(spec.setupFiles ?? {})) {
    await mkdir(join(files, dirname(path)), { recursive: true });
    await writeFile(join(files, path), text);
  }
  await writeFile(join(work, 'setup'), spec.setup ?? ':');
  const hook = join(work, 'hook');
  const here = shellQuote(work);
  await writeFile(
    hook,
    `#!/bin/sh\nset -eu\ncp -rT --no-preserve=ownership ${here}/files "$1"\n` +
      `chroot "$1" /bin/sh -eu < ${here}/setup\n`,
  );
  await chmod(hook, 0o755);
  const options = [...mirror.aptOptions, 'Acquire::Languages "none";', 'APT::Install-Recommends "false";'];
  const release = spec.suite.replace(/-(?:backports|updates|security)$/, '');
  log(`making a Debian root of ${release} with ${spec.include.length} packages`);
  await runTool(
    await asRoot([
      // However we end, nothing of it goes on alone or stays: its processes are a namespace that ends with its first one,
      // and so do the mounts that it makes in the root.
      ...([
        'setpriv',
        '--pdeathsig',
        'KILL',
        '--',
        'unshare',
        '--mount',
        '--pid',
        '--fork',
        '--kill-child',
        '--',
      ] as const),
      'mmdebstrap',
      '--mode=root',
      '--variant=minbase',
      // Each package that is unpacked or set up is a line.
      '--verbose',
      '--format=directory',
      ...options.map((option) => `--aptopt=${option}`),
      ...(spec.keepLists ? ['--skip=cleanup/apt'] : []),
      ...(spec.include.length > 0 ? [`--include=${spec.include.join(',')}`] : []),
      `--customize-hook=${hook}`,
      release,
      join(work, 'root'),
      sources,
    ]),
    {
      log,
      ...(signal ? { signal } : {}),
      hint: 'mmdebstrap unpacks Debian packages as root: it needs the mirror, mount and chroot, and room in the cache',
    },
  );
}

async function removeLeftovers(roots: string, key: string): Promise<void> {
  for (const name of await readdir(roots))
    if (name.startsWith(`${key}.partial-`)) await removeTree(join(roots, name));
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
