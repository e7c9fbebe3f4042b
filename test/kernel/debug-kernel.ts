import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cacheFolder, type Log, withLock } from '../../src/lab/debian/cache.ts';
import { type FetchedPackage, fetchPackages } from '../../src/lab/debian/package.ts';
import { buildRoot } from '../../src/lab/debian/root.ts';
import { shellQuote } from '../../src/lib/shell.ts';
import type { BootableKernel } from './boot.ts';
import { inRoot } from './namespace.ts';
import { runLogged } from './process.ts';

const configFile = fileURLToPath(new URL('debug-kernel.config', import.meta.url));
const suite = 'trixie';
const sourcePackage = 'linux-source-6.12';
const include = [
  ...['bc', 'bison', 'flex', 'gcc', 'libc6-dev', 'libelf-dev', 'make', 'perl', 'sparse', 'xz-utils'],
];
// 500 s of one core; a busy machine is several times slower.
const BUILD_MS = 120 * 60_000;
// Raised when the way of building changes, so that older results are not believed.
const RECIPE = '1';
// What building a module against the tree needs, and checkpatch.
const kept = [
  'Makefile',
  'Kbuild',
  '.config',
  'Module.symvers',
  'scripts',
  'include',
  'arch',
  'tools',
  'bzImage',
];

/** A kernel of our own that looks for bugs, and what modules are built against. */
export interface DebugKernel {
  image: BootableKernel;
  /** Debian root with its compiler. */
  root: string;
  /** Source tree, as far as building modules needs it. */
  tree: string;
}

/**
 * Builds the debug kernel from Debian's source of 6.12, or takes it from the cache, where its name tells configuration,
 * source and compiler.
 * @param log progress, a line each
 * @throws FleetError when the mirror can not be reached; Error when it does not build or lacks an option asked for
 */
export async function prepareDebugKernel(log: Log): Promise<DebugKernel> {
  const [source] = await fetchPackages({ suite, names: [sourcePackage] }, log);
  const root = await buildRoot({ suite, include }, log);
  const folder = join(cacheFolder(), 'debug-kernels', buildKey(root, source!));
  if (!existsSync(folder))
    await withLock(`${folder}.lock`, log, async () => {
      if (!existsSync(folder)) await build(root, source!, folder, log);
    });
  const release = readFileSync(join(folder, 'include/config/kernel.release'), 'utf8').trim();
  return {
    image: { release, vmlinuz: join(folder, 'bzImage'), resolveModules: () => [] },
    root,
    tree: folder,
  };
}

async function build(root: string, source: FetchedPackage, folder: string, log: Log): Promise<void> {
  const partial = `${folder}.partial-${process.pid}`;
  rmSync(partial, { recursive: true, force: true });
  mkdirSync(join(partial, 'tree'), { recursive: true });
  writeFileSync(join(partial, 'wanted.config'), readFileSync(configFile));
  log(`unpacking ${sourcePackage} ${source.version}`);
  await step(partial, 'unpack', ['sh', '-c', unpackScript(source, join(partial, 'tree'))]);
  log('building the debug kernel: five minutes on a quiet machine');
  const mounts = { '/mnt': partial, '/usr/src': join(partial, 'tree') };
  await step(partial, 'build', inRoot(root, mounts, buildScript()));
  await step(partial, 'trim', inRoot(root, mounts, trimScript()));
  renameSync(join(partial, 'tree'), folder);
  rmSync(partial, { recursive: true });
}

async function step(partial: string, name: string, argv: readonly string[]): Promise<void> {
  const output = join(partial, `${name}.log`);
  const ended = await runLogged(argv, { output, timeoutMs: BUILD_MS });
  if (ended.code === 0) return;
  const tail = readFileSync(output, 'utf8').split('\n').slice(-30).join('\n');
  rmSync(partial, { recursive: true, force: true });
  throw new Error(`the debug kernel: ${name} failed: ${JSON.stringify(ended)}\n${tail}`);
}

function unpackScript(source: FetchedPackage, tree: string): string {
  return [
    'set -e',
    `dpkg-deb --fsys-tarfile ${shellQuote(source.file)} |`,
    `tar --extract --to-stdout --file=- ./usr/src/${sourcePackage}.tar.xz |`,
    `tar --extract --xz --file=- --strip-components=1 --directory=${shellQuote(tree)}`,
  ].join('\n');
}

/** An option whose dependencies are not met disappears without a word, so each is looked for. */
function buildScript(): string {
  return `set -e
cd /usr/src
make tinyconfig
scripts/kconfig/merge_config.sh -m .config /mnt/wanted.config
make olddefconfig
lost=
for line in $(sed '/^#/d; /^$/d' /mnt/wanted.config); do
	case $line in
	*=n) ! grep -q "^\${line%=n}=" .config || lost="$lost $line" ;;
	*) grep -qx "$line" .config || lost="$lost $line" ;;
	esac
done
if [ -n "$lost" ]; then
	echo "not in the configuration:$lost"
	exit 1
fi
make -j"$(nproc)" bzImage modules_prepare
cp vmlinux.symvers Module.symvers
cp arch/x86/boot/bzImage bzImage
`;
}

function trimScript(): string {
  const others = kept.map((name) => `! -name ${name}`).join(' ');
  return `set -e
cd /usr/src
find . -mindepth 1 -maxdepth 1 ${others} -exec rm -rf {} +
find arch -mindepth 1 -maxdepth 1 ! -name x86 ! -name Kconfig -exec rm -rf {} +
find tools -mindepth 1 -maxdepth 1 ! -name objtool -exec rm -rf {} +
find arch -name '*.o' -delete
`;
}

function buildKey(root: string, source: FetchedPackage): string {
  const hash = createHash('sha256').update(`${RECIPE}\0${source.version}\0`);
  hash.update(readFileSync(configFile)).update(readFileSync(join(root, 'var/lib/dpkg/status')));
  return `${source.version}-${hash.digest('hex').slice(0, 16)}`;
}
