import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { buildRoot } from '../../src/lab/debian/root.ts';

export interface DkmsRoot {
  root: string;
  /** kernels of the cloud flavour and of the usual one */
  kernel: string;
  other: string;
}

/** A root of a Debian release with its dkms, a compiler and the headers of two kernels; no image, no module. */
export async function dkmsRoot(suite = 'bookworm'): Promise<DkmsRoot> {
  const root = await buildRoot(
    {
      suite,
      // Two flavours, as both metapackages always have a kernel; ABI numbers leave the mirror.
      include: ['dkms', 'gcc', 'kmod', 'linux-headers-amd64', 'linux-headers-cloud-amd64', 'make'],
    },
    (line) => console.log(line),
  );
  const releases = readdirSync(join(root, 'usr/lib/modules')).sort();
  const kernel = releases.find((release) => release.endsWith('-cloud-amd64'));
  const other = releases.find((release) => !release.endsWith('-cloud-amd64'));
  if (!kernel || !other)
    throw new Error(`expected headers of two kernels in the root: ${releases.join(', ')}`);
  return { root, kernel, other };
}
