import { join } from 'node:path';
import { cacheFolder, type Log } from '../../src/lab/debian/cache.ts';
import { fetchPackages, newestKernel } from '../../src/lab/debian/package.ts';
import { buildRoot } from '../../src/lab/debian/root.ts';
import {
  type BuildTarget,
  type Built,
  type BuiltSource,
  buildModule,
  buildSource,
  type ModuleSource,
} from './build.ts';
import { type KernelImage, partsOfImage, unpackKernel } from './image.ts';
import { flavour, type KernelLine } from './lines.ts';

/** A kernel ready to boot, and the module built for it. */
export interface Prepared {
  image: KernelImage;
  built: Built;
}

/**
 * Looks the newest kernel of a line up, fetches it, and builds module and check program with the compiler of its own
 * suite. What was made before comes from the cache.
 * @param log progress, a line each
 * @throws FleetError when the mirror can not be reached; Error when the module does not build
 */
export async function prepareLine(line: KernelLine, log: Log): Promise<Prepared> {
  const { image, target } = await prepareKernel(line, log);
  return { image, built: await buildModule(target, join(cacheFolder(), 'builds', 'vhost_blk')) };
}

/** As prepareLine(), for another module. */
export async function prepareModule(
  module: ModuleSource,
  line: KernelLine,
  log: Log,
): Promise<{ image: KernelImage; built: BuiltSource }> {
  const { image, target } = await prepareKernel(line, log);
  return { image, built: await buildSource(module, target, join(cacheFolder(), 'builds', module.name)) };
}

/** A kernel line's newest kernel, unpacked, and what modules for it are built in. */
export async function prepareKernel(
  { line, suite, tools = [] }: KernelLine,
  log: Log,
): Promise<{ image: KernelImage; target: BuildTarget }> {
  const kernel = await newestKernel({ suite, flavour, line }, log);
  const [image] = await fetchPackages({ suite, names: [kernel.image] }, log);
  const parts = partsOfImage(image!.file, kernel.release);
  const fetched = parts.length > 0 ? await fetchPackages({ suite, names: parts }, log) : [];
  const unpacked = unpackKernel(
    [image!, ...fetched].map((deb) => deb.file),
    join(cacheFolder(), 'kernels', `${kernel.image}_${kernel.version}`),
    kernel.release,
  );
  const include = ['gcc', 'libc6-dev', 'make', ...tools, kernel.headers];
  const root = await buildRoot({ suite, include }, log);
  return { image: unpacked, target: { root, release: kernel.release } };
}
