import { createHash } from 'node:crypto';
import { copyFile, mkdir, readdir, readFile, rename, stat, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { FleetError } from '../lib/errors.ts';
import { cacheFolder, withLock } from './debian/cache.ts';
import { findMirror } from './debian/mirror.ts';
import { newestKernel } from './debian/package.ts';
import { asRoot } from './debian/privilege.ts';
import { buildRoot, type RootSpec, removeTree } from './debian/root.ts';
import { runTool } from './debian/run.ts';
import type { Progress } from './progress.ts';
import type { KernelLine } from './state.ts';

/** A bootable disk that labs are copied from. */
export interface LabImage {
  disk: string;
  kernel: string;
  initrd: string;
  release: string;
}

// Counts up when the way an image is made changes.
const FORMAT = 2;
const DISK_SIZE = '8G';
const ROOM_BYTES = 4 * 2 ** 30;

/** The login user of every lab. */
export const labUser = 'deploy';

/**
 * The image of a kernel line, from the cache or made: a Debian 12 root by mmdebstrap, put into a disk by `mke2fs -d`.
 * @throws FleetError E_FILE without room or a mirror, E_STEP when a tool fails
 */
export async function labImage(
  line: KernelLine,
  progress: Progress,
  signal?: AbortSignal,
): Promise<LabImage> {
  const log = (text: string) => progress.line(text);
  progress.step('looking for the newest kernel in the mirror');
  // Debian 12 carries 6.12 beside its own 6.1, both built by its own compiler.
  const kernel = await newestKernel({ suite: 'bookworm', flavour: 'cloud-amd64', line }, log);
  const spec = rootSpec(kernel.image);
  const key = createHash('sha256')
    // The mirror is part of it: apt in the lab uses the one that this machine has.
    .update(JSON.stringify([FORMAT, DISK_SIZE, spec, await findMirror()]))
    .digest('hex')
    .slice(0, 16);
  const folder = join(cacheFolder(), 'images', `${kernel.release}-${key}`);
  const image: LabImage = {
    disk: join(folder, 'disk.raw'),
    kernel: join(folder, 'vmlinuz'),
    initrd: join(folder, 'initrd.img'),
    release: kernel.release,
  };
  await withLock(`${folder}.lock`, log, async () => {
    if (await stat(folder).catch(() => null)) return;
    await requireRoom(ROOM_BYTES, 'a new lab image');
    progress.step(`making a Debian 12 root with kernel ${kernel.release}`);
    const root = await buildRoot(spec, log, signal);
    await removeLeftovers(folder);
    const partial = `${folder}.partial-${process.pid}`;
    try {
      await mkdir(partial, { recursive: true });
      progress.step('making the disk image');
      await makeDisk(root, partial, kernel.release, log, signal);
      await rename(partial, folder);
    } finally {
      await removeTree(partial);
      // The disk has all of it, and no one else uses this root; one who was interrupted will want it again.
      if (!signal?.aborted) await removeTree(root);
    }
  });
  return image;
}

/** @throws FleetError E_FILE when the cache's file system has less than `bytes` free */
export async function requireRoom(bytes: number, purpose: string): Promise<void> {
  await mkdir(cacheFolder(), { recursive: true });
  const { bavail, bsize } = await statfs(cacheFolder());
  const free = bavail * bsize;
  if (free >= bytes) return;
  const gib = (count: number) => `${(count / 2 ** 30).toFixed(1)} GiB`;
  throw new FleetError({
    code: 'E_FILE',
    message: `${purpose} needs ${gib(bytes)} in ${cacheFolder()}, which has ${gib(free)} free`,
    hint: 'set BLKFLEET_CACHE to a folder with more room, or remove labs with `blkfleet lab destroy`',
  });
}

// QEMU's user network always looks like this: neither a DHCP client nor a daemon is needed.
const networkUnit = `[Unit]
Description=QEMU's user network
DefaultDependencies=no
Wants=network-pre.target sys-subsystem-net-devices-eth0.device
After=network-pre.target sys-subsystem-net-devices-eth0.device
Before=network.target shutdown.target
Conflicts=shutdown.target
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=ip address replace 10.0.2.15/24 dev eth0
ExecStart=ip link set eth0 up
ExecStart=ip route replace default via 10.0.2.2
[Install]
WantedBy=multi-user.target network.target
`;

function rootSpec(kernelPackage: string): RootSpec {
  return {
    suite: 'bookworm',
    include: [
      'ca-certificates',
      'e2fsprogs',
      'initramfs-tools',
      'iproute2',
      'kmod',
      kernelPackage,
      'netbase',
      'openssh-server',
      'procps',
      // What makes a host a hypervisor is there before we come; what our modules need is not.
      'qemu-system-x86',
      'qemu-utils',
      'sudo',
      'systemd-sysv',
      'udev',
      // For an initrd that an emulated CPU unpacks quickly.
      'zstd',
    ],
    setupFiles: {
      '/etc/fstab': '/dev/vda / ext4 noatime,errors=remount-ro 0 1\n',
      '/etc/hostname': 'lab\n',
      // The disk is a copy that can be made again: dpkg need not wait for it.
      '/etc/dpkg/dpkg.cfg.d/lab': 'force-unsafe-io\n',
      '/etc/hosts': '127.0.0.1 localhost\n127.0.1.1 lab\n::1 localhost\n',
      '/etc/systemd/system/lab-network.service': networkUnit,
      '/etc/resolv.conf': 'nameserver 10.0.2.3\n',
      '/etc/ssh/sshd_config.d/lab.conf':
        'HostKey /etc/ssh/ssh_host_ed25519_key\nPasswordAuthentication no\nPermitRootLogin no\nUseDNS no\n',
      '/etc/sudoers.d/lab': `${labUser} ALL=(ALL:ALL) NOPASSWD: ALL\n`,
      // All boots count, so that a crash can be read about after the next one.
      '/etc/systemd/journald.conf.d/lab.conf': '[Journal]\nStorage=persistent\nSystemMaxUse=64M\n',
    },
    // Lists and apt's cache of them save a minute of emulated work; where they are too old apt fetches them again.
    keepLists: true,
    setup: `
chmod 0440 /etc/sudoers.d/lab
useradd --create-home --shell /bin/bash --user-group ${labUser}
install -d -m 0700 -o ${labUser} -g ${labUser} /home/${labUser}/.ssh
rm -f /etc/ssh/ssh_host_* /etc/machine-id
: > /etc/machine-id
systemctl enable lab-network.service ssh.service
systemctl mask serial-getty@ttyS0.service getty@tty1.service getty-static.service systemd-networkd.service \
  apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service
# A mirror or proxy on the machine itself is reached through QEMU's gateway.
for file in /etc/apt/sources.list.d/* /etc/apt/apt.conf.d/99mmdebstrap; do
  [ ! -f "$file" ] || sed -i -E 's#//(localhost|127\\.0\\.0\\.1)([:/])#//10.0.2.2\\2#g' "$file"
done
apt-get clean
apt-cache gencaches
`,
  };
}

async function makeDisk(
  root: string,
  folder: string,
  release: string,
  log: (line: string) => void,
  signal?: AbortSignal,
): Promise<void> {
  const disk = join(folder, 'disk.raw');
  const options = signal ? { log, signal } : { log };
  // Writing the tables now keeps the guest from doing it in the background.
  await runTool(
    await asRoot([
      'mke2fs',
      ...['-q', '-t', 'ext4', '-L', 'lab', '-m', '1', '-N', '262144'],
      ...['-E', 'lazy_itable_init=0,lazy_journal_init=0', '-d', root, disk, DISK_SIZE],
    ]),
    options,
  );
  const uid = process.getuid?.() ?? 0;
  if (uid !== 0) await runTool(await asRoot(['chown', String(uid), disk]), options);
  for (const [from, to] of [
    [`boot/vmlinuz-${release}`, 'vmlinuz'],
    [`boot/initrd.img-${release}`, 'initrd.img'],
  ] as const) {
    const source = join(root, from);
    await copyFile(source, join(folder, to)).catch(async () => {
      await runTool(
        await asRoot(['install', '-m', '0644', '-o', String(uid), source, join(folder, to)]),
        options,
      );
    });
  }
}

/**
 * Writes files into an ext4 image that is not mounted, owned by the given ids.
 * @throws FleetError E_STEP when what is read back differs
 */
export async function writeIntoDisk(
  disk: string,
  files: readonly { source: string; target: string; mode: number; uid: number; gid: number }[],
  signal?: AbortSignal,
): Promise<void> {
  const lines = files.flatMap(({ source, target, mode, uid, gid }) => [
    `rm ${target}`,
    `write "${source}" ${target}`,
    `sif ${target} mode 0100${mode.toString(8)}`,
    `sif ${target} uid ${uid}`,
    `sif ${target} gid ${gid}`,
  ]);
  const commands = `${disk}.debugfs`;
  await writeFile(commands, `${lines.join('\n')}\n`);
  const options = signal ? { signal } : {};
  await runTool(['debugfs', '-w', '-f', commands, disk], options);
  await runTool(['rm', '-f', commands]);
  // debugfs ends with 0 whatever happens.
  for (const { source, target } of files) {
    const back = await runTool(['debugfs', '-R', `cat ${target}`, disk], options);
    if (back.trim() !== (await readFile(source, 'utf8')).trim())
      throw new FleetError({ code: 'E_STEP', message: `debugfs did not write ${target} into ${disk}` });
  }
}

async function removeLeftovers(folder: string): Promise<void> {
  const images = join(folder, '..');
  const start = `${folder.slice(images.length + 1)}.partial-`;
  for (const name of await readdir(images)) if (name.startsWith(start)) await removeTree(join(images, name));
}
