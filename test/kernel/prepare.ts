import { join } from 'node:path';
import { cacheFolder, type Log } from '../../src/lab/debian/cache.ts';
import { fetchPackages, newestKernel } from '../../src/lab/debian/package.ts';
import { buildRoot } from '../../src/lab/debian/root.ts';
import { type Built, buildModule } from './build.ts';
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
export async function prepareLine({ line, suite, tools = [] }: KernelLine, log: Log): Promise<Prepared> {
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
  const built = await buildModule(
    { root, release: kernel.release },
    join(cacheFolder(), 'builds', 'vhost_blk'),
  );
  return { image: unpacked, built };
}
