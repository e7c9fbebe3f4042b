import { createHash } from 'node:crypto';
import { mkdir, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { FleetError } from '../../lib/errors.ts';
import { cacheFolder, type Log, withLock } from './cache.ts';
import { findMirror, sourcesFor } from './mirror.ts';
import { runTool } from './run.ts';

export interface PackageQuery {
  /** as in RootSpec; a `-backports` suite is preferred over its release */
  suite: string;
  extraSuites?: readonly string[];
}

export interface FetchedPackage {
  name: string;
  version: string;
  /** the .deb in the cache; others share it */
  file: string;
}

export interface KernelPackage {
  /** as in uname -r */
  release: string;
  image: string;
  headers: string;
  version: string;
}

// Package lists older than this are fetched again; a version that has left the mirror is noticed sooner, by the download.
const LISTS_FRESH_MS = 24 * 3600 * 1000;

/**
 * Downloads packages into the cache through an apt state of our own: the machine's own apt is not touched.
 * @param query names; with `dependencies` all that they need on a bare Debian comes too
 * @throws FleetError E_STEP when a package is unknown or the mirror can not be reached
 */
export async function fetchPackages(
  query: PackageQuery & { names: readonly string[]; dependencies?: boolean },
  log: Log,
  signal?: AbortSignal,
): Promise<FetchedPackage[]> {
  return withState(query, log, async (state) => {
    try {
      return await download(state, query.names, query.dependencies ?? false, log, signal);
    } catch (error) {
      if (signal?.aborted || state.updated) throw error;
      // The lists name a version that the mirror has replaced.
      await update(state, log, signal);
      return download(state, query.names, query.dependencies ?? false, log, signal);
    }
  });
}

/**
 * Downloads the upstream archive of a source package into the cache.
 * @returns the file, as apt checked it: NAME_VERSION.orig.tar.xz
 * @throws FleetError E_STEP when the mirror can not be reached or has no such source
 */
export async function fetchSource(query: PackageQuery & { name: string }, log: Log): Promise<string> {
  return withState({ ...query, type: 'deb-src' }, log, async (state) => {
    const archive = ['source', '--download-only', '--tar-only'];
    const told = await apt(state, 'apt-get', [...archive, '--print-uris', query.name]);
    const name = /^'\S+' (\S+\.tar\.\w+) /m.exec(told)?.[1];
    if (!name)
      throw new FleetError({ code: 'E_STEP', message: `${query.suite} has no source of ${query.name}` });
    const target = join(state.archives, name);
    if (await stat(target).catch(() => null)) return target;
    log(`downloading ${name}`);
    await inWork(state, (work) => apt(state, 'apt-get', [...archive, query.name], log, undefined, work));
    return target;
  });
}

/**
 * The newest kernel of a line in a suite.
 * @param query `line` is the start of the release, `6.1` (empty: any); `flavour` its end, `cloud-amd64` or `amd64`
 * @throws FleetError E_USAGE when the suite has none
 */
export async function newestKernel(
  query: PackageQuery & { flavour: string; line: string },
  log: Log,
): Promise<KernelPackage> {
  return withState(query, log, async (state) => {
    const names = await apt(state, 'apt-cache', [
      'pkgnames',
      query.line === '' ? 'linux-image-' : `linux-image-${query.line}.`,
    ]);
    const releases = names
      .split('\n')
      .map((name) => name.slice('linux-image-'.length))
      .filter((release) => isOfFlavour(release, query.flavour))
      .sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));
    const release = releases.at(-1);
    if (!release)
      throw new FleetError({
        code: 'E_USAGE',
        message: `${query.suite} has no kernel ${query.line}.* of the flavour ${query.flavour}`,
      });
    const image = `linux-image-${release}`;
    const version = (await candidates(state, [image])).get(image) ?? '';
    return { release, image, headers: `linux-headers-${release}`, version };
  });
}

/** True for `6.1.0-41-cloud-amd64` and flavour `cloud-amd64`; `amd64` does not match it, nor a debug or unsigned build. */
export function isOfFlavour(release: string, flavour: string): boolean {
  const match = /^\d+\.\d+(?:\.\d+)?(?:\+[a-z0-9.~+]+)?(?:-\d[a-z0-9.~]*)*-([a-z].*)$/.exec(release);
  return match?.[1] === flavour;
}

interface AptState {
  folder: string;
  archives: string;
  suite: string;
  updated: boolean;
}

async function withState<T>(
  query: PackageQuery & { type?: 'deb-src' },
  log: Log,
  work: (state: AptState) => Promise<T>,
): Promise<T> {
  const mirror = await findMirror();
  const listed = sourcesFor(mirror, query.suite, query.extraSuites);
  const sources = query.type ? listed.replaceAll(/^Types: deb$/gm, `Types: ${query.type}`) : listed;
  const folder = join(cacheFolder(), 'apt', createHash('sha256').update(sources).digest('hex').slice(0, 16));
  const state: AptState = {
    folder,
    archives: join(cacheFolder(), 'debs'),
    suite: query.suite,
    updated: false,
  };
  return withLock(join(folder, 'lock'), log, async () => {
    for (const sub of [
      'etc/apt.conf.d',
      'etc/preferences.d',
      'etc/trusted.gpg.d',
      'lists/partial',
      'cache/archives/partial',
    ])
      await mkdir(join(folder, sub), { recursive: true });
    await mkdir(state.archives, { recursive: true });
    await writeFile(join(folder, 'status'), '');
    await writeFile(join(folder, 'etc/mirror.sources'), sources);
    await writeFile(join(folder, 'apt.conf'), aptConf(folder, mirror.aptOptions));
    const age = await stat(join(folder, 'updated')).then(
      (found) => Date.now() - found.mtimeMs,
      () => Number.POSITIVE_INFINITY,
    );
    if (age > LISTS_FRESH_MS) await update(state, log);
    return work(state);
  });
}

function aptConf(folder: string, options: readonly string[]): string {
  return `${[
    ...options,
    // Without this apt would read the machine's own sources, keys and state.
    `Dir::Etc "${folder}/etc";`,
    `Dir::Etc::sourcelist "${folder}/etc/mirror.sources";`,
    `Dir::Etc::sourceparts "-";`,
    `Dir::State "${folder}";`,
    `Dir::State::lists "${folder}/lists";`,
    `Dir::State::status "${folder}/status";`,
    `Dir::Cache "${folder}/cache";`,
    'APT::Sandbox::User "root";',
    'APT::Install-Recommends "false";',
    'APT::Get::Assume-Yes "true";',
    'Acquire::Languages "none";',
    'Debug::NoLocking "true";',
  ].join('\n')}\n`;
}

async function update(state: AptState, log: Log, signal?: AbortSignal): Promise<void> {
  log(`fetching the package lists of ${state.suite}`);
  await apt(state, 'apt-get', ['update', '--error-on=any'], log, signal);
  await writeFile(join(state.folder, 'updated'), '');
  state.updated = true;
}

async function download(
  state: AptState,
  names: readonly string[],
  dependencies: boolean,
  log: Log,
  signal?: AbortSignal,
): Promise<FetchedPackage[]> {
  const target = state.suite.endsWith('-backports') ? ['-t', state.suite] : [];
  const wanted = dependencies ? await closure(state, target, names) : [...names];
  const versions = await candidates(state, wanted, target);
  const unknown = wanted.filter((name) => !versions.has(name));
  if (unknown.length > 0)
    throw new FleetError({ code: 'E_STEP', message: `${state.suite} has no package ${unknown.join(', ')}` });
  const found: FetchedPackage[] = [];
  const missing: string[] = [];
  for (const name of wanted) {
    const version = versions.get(name)!;
    const file = await findDeb(state.archives, name, version);
    if (file) found.push({ name, version, file });
    else missing.push(name);
  }
  if (missing.length === 0) return found;
  log(`downloading ${missing.join(' ')}`);
  const pinned = missing.map((name) => `${name}=${versions.get(name)}`);
  await inWork(state, (work) => apt(state, 'apt-get', ['download', ...pinned], log, signal, work));
  for (const name of missing) {
    const version = versions.get(name)!;
    const file = await findDeb(state.archives, name, version);
    if (!file)
      throw new FleetError({ code: 'E_STEP', message: `apt downloaded no file for ${name} ${version}` });
    found.push({ name, version, file });
  }
  return wanted.map((name) => found.find((one) => one.name === name)!);
}

/** Lets something download into a folder, and moves what is there, when it is whole, to the others. */
async function inWork(state: AptState, download: (work: string) => Promise<unknown>): Promise<void> {
  const work = join(state.archives, `partial-${process.pid}`);
  await mkdir(work, { recursive: true });
  try {
    await download(work);
    for (const file of await readdir(work)) await rename(join(work, file), join(state.archives, file));
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function closure(
  state: AptState,
  target: readonly string[],
  names: readonly string[],
): Promise<string[]> {
  const plan = await apt(state, 'apt-get', [...target, '--simulate', 'install', ...names]);
  return plan.split('\n').flatMap((line) => /^Inst (\S+) /.exec(line)?.[1]?.replace(/:[a-z0-9]+$/, '') ?? []);
}

async function candidates(
  state: AptState,
  names: readonly string[],
  target: readonly string[] = [],
): Promise<Map<string, string>> {
  const text = await apt(state, 'apt-cache', [...target, 'policy', ...names]);
  const versions = new Map<string, string>();
  let name = '';
  for (const line of text.split('\n')) {
    name = /^(\S+):$/.exec(line)?.[1] ?? name;
    const version = /^ {2}Candidate: (\S+)$/.exec(line)?.[1];
    if (version && version !== '(none)') versions.set(name, version);
  }
  return versions;
}

// apt writes an epoch's colon as %3a in file names.
async function findDeb(archives: string, name: string, version: string): Promise<string | undefined> {
  const start = `${name}_${version.replaceAll(':', '%3a')}_`;
  const file = (await readdir(archives)).find((entry) => entry.startsWith(start) && entry.endsWith('.deb'));
  return file ? join(archives, file) : undefined;
}

async function apt(
  state: AptState,
  program: string,
  args: readonly string[],
  log?: Log,
  signal?: AbortSignal,
  cwd?: string,
): Promise<string> {
  return runTool([program, '-q', ...args], {
    env: { APT_CONFIG: join(state.folder, 'apt.conf') },
    ...(log ? { log } : {}),
    ...(signal ? { signal } : {}),
    ...(cwd ? { cwd } : {}),
  });
}
