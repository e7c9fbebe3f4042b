import { createHash } from 'node:crypto';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { basename, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { inRoot } from './namespace.ts';
import { runLogged } from './process.ts';

const kmod = fileURLToPath(new URL('../../kmod', import.meta.url));
const BUILD_MS = 15 * 60_000;
// Raised when the way of building changes, so that older results are not believed.
const RECIPE = '3';

/** A folder of kmod: a module, and programs that its subfolders' Makefiles build. */
export interface ModuleSource {
  name: string;
  programs: readonly { folder: string; name: string }[];
}

export const vhostBlk: ModuleSource = {
  name: 'vhost_blk',
  programs: [
    { folder: 'check', name: 'vhost-blk-check' },
    { folder: 'bench', name: 'vhost-blk-bench' },
  ],
};

/** A module and its programs as one kernel's own tool chain built them. */
export interface BuiltSource {
  release: string;
  module: Buffer;
  /** By name. */
  programs: ReadonlyMap<string, Buffer>;
  /** Lines of the build that a compiler, modpost or objtool called a warning. */
  warnings: string[];
  cached: boolean;
}

/** vhost_blk and its programs. */
export interface Built extends BuiltSource {
  check: Buffer;
  bench: Buffer;
}

/** What a module is built for. */
export interface BuildTarget {
  /** Folder of a Debian root with the compiler. */
  root: string;
  release: string;
  /** The kernel's build tree outside of the root, where its headers are not installed in it. */
  tree?: string;
}

/**
 * Builds a module (W=1) and its programs (static) inside a Debian root. The root is not changed: source and result are bind
 * mounts in a mount namespace that ends with the build.
 * @param target the tree's content must be what its path tells
 * @param cache folder for results, keyed by the source's content, the release and the compiler
 * @throws Error with the end of the log when it does not build
 */
export async function buildSource(
  module: ModuleSource,
  target: BuildTarget,
  cache: string,
): Promise<BuiltSource> {
  const { release } = target;
  const folder = join(cache, `${release}-${buildKey(module, target)}`);
  const cached = existsSync(folder);
  if (!cached) await build(module, target, folder);
  const log = readFileSync(join(folder, 'build.log'), 'utf8');
  return {
    release,
    module: readFileSync(join(folder, `${module.name}.ko`)),
    programs: new Map(module.programs.map(({ name }) => [name, readFileSync(join(folder, name))])),
    warnings: warningsOf(log),
    cached,
  };
}

/** buildSource() of vhost_blk. */
export async function buildModule(target: BuildTarget, cache: string): Promise<Built> {
  const built = await buildSource(vhostBlk, target, cache);
  const program = (name: string) => built.programs.get(name)!;
  return { ...built, check: program('vhost-blk-check'), bench: program('vhost-blk-bench') };
}

async function build(module: ModuleSource, target: BuildTarget, folder: string): Promise<void> {
  const partial = `${folder}.partial-${process.pid}`;
  rmSync(partial, { recursive: true, force: true });
  copySource(module, join(partial, 'source'));
  const log = join(partial, 'build.log');
  const ended = await runLogged(buildCommand(module, target, partial), { output: log, timeoutMs: BUILD_MS });
  if (ended.code !== 0) {
    const tail = readFileSync(log, 'utf8').split('\n').slice(-30).join('\n');
    rmSync(partial, { recursive: true, force: true });
    throw new Error(`${module.name} does not build for ${target.release}: ${JSON.stringify(ended)}\n${tail}`);
  }
  rmSync(join(partial, 'source'), { recursive: true });
  rmSync(folder, { recursive: true, force: true });
  renameSync(partial, folder);
}

function buildCommand(
  { name, programs }: ModuleSource,
  { root, release, tree }: BuildTarget,
  work: string,
): string[] {
  const headers = tree === undefined ? `/lib/modules/${release}/build` : '/usr/src';
  const script = [
    'set -e',
    'cd /mnt/source',
    `make -C ${headers} M=/mnt/source W=1 modules`,
    ...programs.map(({ folder }) => `make -C ${folder} STATIC=1 O=/mnt/${folder}`),
    `cp ${[`${name}.ko`, ...programs.map((one) => `/mnt/${one.folder}/${one.name}`)].join(' ')} /mnt/`,
  ].join('\n');
  return inRoot(root, { '/mnt': work, ...(tree === undefined ? {} : { '/usr/src': tree }) }, script);
}

function warningsOf(log: string): string[] {
  return (
    log
      .split('\n')
      .filter((line) => /\bwarning:/i.test(line))
      // Said once per build by kernels built with another patch level of the same compiler; no word about our code.
      .filter((line) => !/the compiler differs from the one used to build the kernel/.test(line))
  );
}

/** Name of a result: of everything that can change it. */
export function buildKey(module: ModuleSource, { root, release, tree = '' }: BuildTarget): string {
  const hash = createHash('sha256').update(`${RECIPE}\0${release}\0${basename(tree)}\0`);
  hash.update(JSON.stringify(module.programs.map(({ folder, name }) => [folder, name])));
  hash.update(readFileSync(join(root, 'var/lib/dpkg/status')));
  for (const path of sourceFiles(module))
    hash.update(`${path}\0`).update(readFileSync(join(kmod, module.name, path)));
  return hash.digest('hex').slice(0, 20);
}

/** Copies the module's folder without what an in-place build left there. */
export function copySource(module: ModuleSource, to: string): void {
  for (const path of sourceFiles(module)) {
    mkdirSync(join(to, path, '..'), { recursive: true });
    cpSync(join(kmod, module.name, path), join(to, path));
  }
}

/** Files of the module's folder without what an in-place build left there. */
function sourceFiles({ name, programs }: ModuleSource): string[] {
  const source = join(kmod, name);
  const products = ['modules\\.order', ...programs.map((program) => program.name)].join('|');
  const skipped = new RegExp(`(^|/)\\.|\\.(o|ko|mod|mod\\.c|cmd|a|symvers)$|(^|/)(${products})$`);
  const files = (folder: string): string[] =>
    readdirSync(folder).flatMap((file) => {
      const path = join(folder, file);
      return statSync(path).isDirectory() ? files(path) : [relative(source, path)];
    });
  return files(source)
    .filter((path) => !skipped.test(path))
    .sort();
}
