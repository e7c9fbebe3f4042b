import { fetchPackages, newestKernel } from '../../src/lab/debian/package.ts';
import { buildRoot } from '../../src/lab/debian/root.ts';

/** A Debian host before a kernel upgrade, and the packages of the new kernel. */
export interface UpgradeHost {
  /** bookworm with apt, dpkg, dkms, initramfs-tools and the headers of the kernel `base` */
  root: string;
  base: string;
  /** uname -r of the kernel that the packages bring */
  release: string;
  /** files of the packages */
  image: string;
  headers: string;
}

/**
 * The kernel that comes is of another flavour: both flavours always have one, and their common files are the same, so
 * that the headers need no other package; older ABI numbers leave the mirror.
 */
export async function upgradeHost(): Promise<UpgradeHost> {
  const log = (line: string) => console.log(line);
  const suite = 'bookworm';
  const base = await newestKernel({ suite, flavour: 'amd64', line: '6.1' }, log);
  const release = base.release.replace(/-amd64$/, '-cloud-amd64');
  const names = [`linux-image-${release}`, `linux-headers-${release}`];
  const include = ['dkms', 'gcc', 'initramfs-tools', 'kmod', base.headers, 'make'];
  const root = await buildRoot({ suite, include }, log);
  const [image, headers] = await fetchPackages({ suite, names }, log);
  return { root, base: base.release, release, image: image!.file, headers: headers!.file };
}
