import { CONF, type DataPath, fragmentPath } from './paths.ts';
import type { SeenQemu } from './qmp.ts';
import { AUTO_QUEUES, type QemuDriveDefaults } from './schema.ts';

/** The drivers whose properties are defaulted; each is a `driver` of a `[global]` group. */
export type Driver = 'virtio-blk-pci' | 'vhost-blk-pci';

/** Properties that a `[global]` group can default, in the order of the file. */
export const properties = ['num-queues', 'queue-size', 'discard', 'write-cache'] as const;
export type Property = (typeof properties)[number];

/** The declared value of each property that can be a default of the device, as QEMU's text. */
export function declaredValues(profile: QemuDriveDefaults): Record<Property, string> {
  return {
    'num-queues': String(profile.queues === 'vcpus' ? AUTO_QUEUES : profile.queues),
    'queue-size': String(profile.queue_size),
    discard: profile.discard === 'unmap' ? 'on' : 'off',
    'write-cache': profile.cache === 'none' || profile.cache === 'writeback' ? 'on' : 'off',
  };
}

/** The lines between the marks in qemu.conf; `properties` that a driver of a patched QEMU lacks are left out. */
export function sectionText(profile: QemuDriveDefaults, seen: readonly SeenQemu[]): string {
  const values = declaredValues(profile);
  const group = (driver: Driver, property: Property) =>
    `[global]\n  driver = "${driver}"\n  property = "${property}"\n  value = "${values[property]}"\n`;
  const own = properties.map((property) => group('virtio-blk-pci', property));
  const patched = properties
    .filter((property) => everyHasVhostBlk(seen) && seen.every((qemu) => qemu.vhostBlk!.includes(property)))
    .map((property) => group('vhost-blk-pci', property));
  return [...own, ...patched].join('');
}

/** True where a `[global]` for vhost-blk-pci means something to each QEMU: one that lacks it warns at every start. */
export function everyHasVhostBlk(seen: readonly SeenQemu[]): boolean {
  return seen.length > 0 && seen.every((qemu) => qemu.vhostBlk !== null);
}

/** The data path that disk.conf stands for, and why. */
export function chosenPath(
  { data_path }: QemuDriveDefaults,
  seen: readonly SeenQemu[],
): { path: DataPath; reason: string } {
  if (data_path !== 'auto') return { path: data_path, reason: 'declared' };
  return everyHasVhostBlk(seen)
    ? { path: 'vhost-blk', reason: 'the QEMU here has vhost-blk-pci' }
    : { path: 'virtio-blk', reason: 'no QEMU here has vhost-blk-pci' };
}

/** The fragment of each data path that belongs on this host; null where it does not. */
export function fragments(
  profile: QemuDriveDefaults,
  seen: readonly SeenQemu[],
): Record<DataPath, string | null> {
  return {
    'virtio-blk': virtioBlk(profile),
    'vhost-user-blk': vhostUserBlk(profile),
    'vhost-blk': everyHasVhostBlk(seen) || profile.data_path === 'vhost-blk' ? vhostBlk(profile) : null,
  };
}

const head = (
  path: DataPath,
  how: string,
) => `# Part of blkfleet: one disk by ${path}. Changes by hand are drift.
#
# qemu-system-x86_64 ... -readconfig ${fragmentPath(path)} \\
${how}`;

const more = (path: DataPath) => `#
# For a second disk: sed 's/disk0/disk1/g' ${fragmentPath(path)} > /etc/qemu/disk1.conf,
# and -readconfig that file too. Queues, queue size and the write cache are defaults in ${CONF};
# with -no-user-config (as libvirt does) they are not.

`;

function virtioBlk(profile: QemuDriveDefaults): string {
  return `${head('virtio-blk', '#   -set drive.disk0.file=/dev/VG/LV\n')}${more('virtio-blk')}[object "disk0-io"]
  qom-type = "iothread"

[drive "disk0"]
  if = "none"
  format = "raw"
  cache = "${profile.cache}"
  aio = "${profile.aio}"
  discard = "${profile.discard}"
  detect-zeroes = "${profile.detect_zeroes}"

[device "disk0-device"]
  driver = "virtio-blk-pci"
  drive = "disk0"
  iothread = "disk0-io"
`;
}

function vhostUserBlk(profile: QemuDriveDefaults): string {
  const queues = profile.queues === 'vcpus' ? '' : `  num-queues = "${profile.queues}"\n`;
  return `${head(
    'vhost-user-blk',
    `#   -set chardev.disk0.path=/run/SOCKET \\
#   -m 4G -object memory-backend-memfd,id=ram,size=4G,share=on -machine memory-backend=ram
#
# Guest memory must be shared, or the disk fails at its first request. Cache and aio belong to the process behind the
# socket. To reconnect to it: -set chardev.disk0.reconnect-ms=1000, before QEMU 9.2 -set chardev.disk0.reconnect=1.
`,
  )}${more('vhost-user-blk')}[chardev "disk0"]
  backend = "socket"

[device "disk0-device"]
  driver = "vhost-user-blk-pci"
  chardev = "disk0"
${queues}  queue-size = "${profile.queue_size}"
`;
}

/** The device takes the descriptor below the format layer: raw over the block device, without the page cache. */
function vhostBlk(profile: QemuDriveDefaults): string {
  return `${head('vhost-blk', '#   -set drive.disk0.file=/dev/VG/LV\n')}#
# A block device only. The kernel works below the page cache, so QEMU must not use it either: cache is none whatever the
# profile says, and aio has no meaning.
${more('vhost-blk')}[drive "disk0"]
  if = "none"
  format = "raw"
  cache = "none"
  discard = "${profile.discard}"

[device "disk0-device"]
  driver = "vhost-blk-pci"
  drive = "disk0"
`;
}
