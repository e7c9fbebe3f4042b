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

const source = fileURLToPath(new URL('../../kmod/vhost_blk', import.meta.url));
const BUILD_MS = 15 * 60_000;
// Raised when the way of building changes, so that older results are not believed.
const RECIPE = '2';

/** A module and its programs as one kernel's own tool chain built them. */
export interface Built {
  release: string;
  module: Buffer;
  check: Buffer;
  bench: Buffer;
  /** Lines of the build that a compiler, modpost or objtool called a warning. */
  warnings: string[];
  cached: boolean;
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
 * Builds vhost_blk (W=1), vhost-blk-check and vhost-blk-bench (static) inside a Debian root. The root is not changed: source
 * and result are bind mounts in a mount namespace that ends with the build.
 * @param target the tree's content must be what its path tells
 * @param cache folder for results, keyed by the source's content, the release and the compiler
 * @throws Error with the end of the log when it does not build
 */
export async function buildModule(target: BuildTarget, cache: string): Promise<Built> {
  const { release } = target;
  const folder = join(cache, `${release}-${buildKey(target)}`);
  const cached = existsSync(folder);
  if (!cached) await build(target, folder);
  const log = readFileSync(join(folder, 'build.log'), 'utf8');
  return {
    release,
    module: readFileSync(join(folder, 'vhost_blk.ko')),
    check: readFileSync(join(folder, 'vhost-blk-check')),
    bench: readFileSync(join(folder, 'vhost-blk-bench')),
    warnings: warningsOf(log),
    cached,
  };
}

async function build(target: BuildTarget, folder: string): Promise<void> {
  const partial = `${folder}.partial-${process.pid}`;
  rmSync(partial, { recursive: true, force: true });
  copySource(join(partial, 'source'));
  const log = join(partial, 'build.log');
  const ended = await runLogged(buildCommand(target, partial), { output: log, timeoutMs: BUILD_MS });
  if (ended.code !== 0) {
    const tail = readFileSync(log, 'utf8').split('\n').slice(-30).join('\n');
    rmSync(partial, { recursive: true, force: true });
    throw new Error(`vhost_blk does not build for ${target.release}: ${JSON.stringify(ended)}\n${tail}`);
  }
  rmSync(join(partial, 'source'), { recursive: true });
  rmSync(folder, { recursive: true, force: true });
  renameSync(partial, folder);
}

function buildCommand({ root, release, tree }: BuildTarget, work: string): string[] {
  const headers = tree === undefined ? `/lib/modules/${release}/build` : '/usr/src';
  const script = [
    'set -e',
    'cd /mnt/source',
    `make -C ${headers} M=/mnt/source W=1 modules`,
    'make -C check STATIC=1 O=/mnt/check',
    'make -C bench STATIC=1 O=/mnt/bench',
    'cp vhost_blk.ko /mnt/check/vhost-blk-check /mnt/bench/vhost-blk-bench /mnt/',
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

/** Everything that can change the result. */
function buildKey({ root, release, tree = '' }: BuildTarget): string {
  const hash = createHash('sha256').update(`${RECIPE}\0${release}\0${basename(tree)}\0`);
  hash.update(readFileSync(join(root, 'var/lib/dpkg/status')));
  for (const path of sourceFiles()) hash.update(`${path}\0`).update(readFileSync(join(source, path)));
  return hash.digest('hex').slice(0, 20);
}

/** Copies the module's folder without what an in-place build left there. */
export function copySource(to: string): void {
  for (const path of sourceFiles()) {
    mkdirSync(join(to, path, '..'), { recursive: true });
    cpSync(join(source, path), join(to, path));
  }
}

/** Files of the module's folder without what an in-place build left there. */
function sourceFiles(): string[] {
  const skipped =
    /(^|\/)\.|\.(o|ko|mod|mod\.c|cmd|a|symvers)$|(^|\/)(modules\.order|vhost-blk-check|vhost-blk-bench)$/;
  const files = (folder: string): string[] =>
    readdirSync(folder).flatMap((name) => {
      const path = join(folder, name);
      return statSync(path).isDirectory() ? files(path) : [relative(source, path)];
    });
  return files(source)
    .filter((path) => !skipped.test(path))
    .sort();
}
