import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cacheFolder } from '../../src/lab/debian/cache.ts';
import { fetchPackages, newestKernel } from '../../src/lab/debian/package.ts';
import { buildRoot } from '../../src/lab/debian/root.ts';
import { cpioArchive } from '../kernel/cpio.ts';
import { type KernelImage, unpackKernel } from '../kernel/image.ts';
import { type ChrootHost, chrootHost } from './run-steps.ts';

/** A kernel and a root file system to boot it with: Debian's own tools, and what a test adds. */
export interface BootDisk {
  release: string;
  vmlinuz: string;
  initrd: string;
  /** a raw disk; each test host takes a copy */
  disk: string;
  remove(): void;
}

/** What a test adds to the disk. */
export interface DiskContent {
  /** programs of the Debian root beside the usual ones */
  programs?: readonly string[];
  /** modules of the kernel that are loaded before the root is mounted */
  modules?: readonly string[];
  /** puts files into the Debian root, which has a compiler and the kernel's headers */
  prepare(root: ChrootHost, release: string): void | Promise<void>;
  /** sh run in that root: makes files below /out, which becomes the disk's root; its modules go to $modules */
  make: string;
}

const suite = 'bookworm';
const log = (line: string) => console.log(line);

/** What a Debian host has under /bin; dash is its sh. */
const PROGRAMS =
  'base64 cat chmod chown cp cut date dash depmod dmesg env find getconf grep head id kmod ln mkdir mktemp mount mv od readlink rm rmdir sed sha256sum sleep sort stat stty sync tail timeout touch tr uname';
const KMOD = ['insmod', 'lsmod', 'modinfo', 'modprobe', 'rmmod'];

/** Makes the disk in a folder of its own. */
export async function bootDisk(content: DiskContent): Promise<BootDisk> {
  const kernel = await newestKernel({ suite, flavour: 'amd64', line: '6.1' }, log);
  const [deb] = await fetchPackages({ suite, names: [kernel.image] }, log);
  const unpacked = join(cacheFolder(), 'kernels', `${kernel.image}_${kernel.version}`);
  const image = unpackKernel([deb!.file], unpacked, kernel.release);
  const include = ['dkms', 'gcc', 'initramfs-tools', 'kmod', kernel.headers, 'make'];
  const root = await buildRoot({ suite, include }, log);
  const base = mkdtempSync(join(tmpdir(), 'blkfleet-trial-'));
  try {
    const tree = join(base, 'tree');
    await makeTree(tree, root, kernel.release, content);
    const disk = join(base, 'disk');
    execFileSync('mke2fs', ['-q', '-t', 'ext4', '-d', tree, disk, '96M'], { stdio: 'pipe' });
    const initrd = join(base, 'initrd');
    writeFileSync(initrd, initramfs(image, content.modules ?? []));
    const remove = () => rmSync(base, { recursive: true, force: true });
    return { release: kernel.release, vmlinuz: image.vmlinuz, initrd, disk, remove };
  } catch (error) {
    rmSync(base, { recursive: true, force: true });
    throw error;
  }
}

async function makeTree(tree: string, root: string, release: string, content: DiskContent): Promise<void> {
  const host = chrootHost(root);
  try {
    await content.prepare(host, release);
    const programs = `${PROGRAMS} ${(content.programs ?? []).join(' ')}`;
    const made = await host.run(`set -e
modules=/out/usr/lib/modules/${release}
mkdir -p /out/usr/bin "$modules/updates/dkms"
${content.make}
for name in ${programs}; do
  file=$(readlink -f "$(command -v "$name")")
  cp "$file" "/out/usr/bin/$name"
  ldd "$file" | sed -n 's/.*[ \\t]\\(\\/[^ ]*\\) (0x.*/\\1/p' >> /out/libs
done
sort -u /out/libs | while read -r file; do mkdir -p "/out/usr\${file%/*}"; cp -L "$file" "/out/usr\${file#/usr}"; done
cp /lib/modules/${release}/modules.* "$modules/" 2>/dev/null || :
depmod -b /out/usr ${release}
`);
    if (made.rc !== 0) throw new Error(`the disk could not be made: ${made.text}`);
    cpSync(join(host.upper, 'out'), tree, { recursive: true });
  } finally {
    host.remove();
  }
  rmSync(join(tree, 'libs'));
  for (const name of ['bin', 'sbin', 'lib', 'lib64'])
    symlinkSync(name === 'sbin' ? 'usr/bin' : `usr/${name}`, join(tree, name));
  symlinkSync('dash', join(tree, 'usr/bin/sh'));
  symlinkSync('bin', join(tree, 'usr/sbin'));
  for (const name of KMOD) symlinkSync('kmod', join(tree, 'usr/bin', name));
  for (const name of [
    'dev',
    'etc/modprobe.d',
    'etc/systemd/system/multi-user.target.wants',
    'proc',
    'run',
    'sys',
    'tmp',
    'var/lib',
    'usr/local/lib',
  ])
    mkdirSync(join(tree, name), { recursive: true });
  writeFileSync(join(tree, 'etc/os-release'), 'ID=debian\nVERSION_ID="12"\n');
  writeFileSync(join(tree, 'agent'), agent, { mode: 0o755 });
}

/** Takes a line with a script in base64, answers with its exit status and both streams. */
const agent = `#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -t tmpfs tmpfs /run
exec </dev/ttyS1 >/dev/ttyS1 2>&1
stty raw -echo
cd /
printf '@@ready\\n'
while IFS= read -r line; do
  printf %s "$line" | base64 -d > /run/script
  (umask 077; exec sh /run/script </dev/null >/run/out 2>/run/err)
  printf '@@end %s ' "$?"
  base64 -w 0 /run/out
  printf ' . '
  base64 -w 0 /run/err
  printf '\\n'
done
`;

function initramfs(image: KernelImage, more: readonly string[]): Buffer {
  const modules = image.resolveModules(['virtio_pci', 'virtio_blk', 'ext4', 'crc32c_generic', ...more]);
  const init = `#!/bin/busybox sh
/bin/busybox mount -t devtmpfs devtmpfs /dev
${modules.map(({ name }) => `/bin/busybox insmod /modules/${name}.ko`).join('\n')}
/bin/busybox mount -t ext4 /dev/vda /disk
exec /bin/busybox switch_root /disk /agent
`;
  return cpioArchive([
    ...['dev', 'disk'].map((path) => ({ path, folder: true as const })),
    { path: 'bin/busybox', mode: 0o755, data: readFileSync(busybox()) },
    ...modules.map(({ name, data }) => ({ path: `modules/${name}.ko`, mode: 0o644, data: data() })),
    { path: 'init', mode: 0o755, data: Buffer.from(init) },
  ]);
}

function busybox(): string {
  return execFileSync('sh', ['-c', 'PATH=$PATH:/usr/sbin:/sbin:/bin command -v busybox'], {
    encoding: 'utf8',
  }).trim();
}
