import { newestKernel } from '../../src/lab/debian/package.ts';
import { buildRoot } from '../../src/lab/debian/root.ts';

export interface DkmsRoot {
  root: string;
  /** kernels of the cloud flavour and of the usual one */
  kernel: string;
  other: string;
}

// Each release's own line: newer ones that it lists too behave otherwise, and a mirror need not hold them.
const lines: Readonly<Record<string, string>> = { bullseye: '5.10', bookworm: '6.1', trixie: '6.12' };

/** A root of a Debian release with its dkms, a compiler and the headers of two kernels; no image, no module. */
export async function dkmsRoot(suite = 'bookworm'): Promise<DkmsRoot> {
  const log = (line: string) => console.log(line);
  // Two flavours: each release always has both, while older ABI numbers leave the mirror.
  const line = lines[suite] ?? '';
  const kernel = await newestKernel({ suite, flavour: 'cloud-amd64', line }, log);
  const other = await newestKernel({ suite, flavour: 'amd64', line }, log);
  const include = ['dkms', 'gcc', 'kmod', kernel.headers, other.headers, 'make'];
  const root = await buildRoot({ suite, include }, log);
  return { root, kernel: kernel.release, other: other.release };
}
