import { CONF, type DataPath, fragmentPath } from './paths.ts';
import type { QemuDriveDefaults } from './schema.ts';

/** What decides how a disk is written for the QEMUs of a host, beside the profile. */
export interface Traits {
  /** virtio-blk-pci has iothread-vq-mapping */
  mapping: boolean;
  /** how a socket's reconnect is spelled: milliseconds, or seconds before QEMU 9.2 */
  reconnect: 'reconnect-ms' | 'reconnect';
}

export const everyTraits: readonly Traits[] = [true, false].flatMap((mapping) =>
  (['reconnect-ms', 'reconnect'] as const).map((reconnect) => ({ mapping, reconnect })),
);

/** One disk of a fragment. */
export interface FragmentDisk {
  /** id in QEMU */
  id: string;
  /** block device or image; without it `-set` gives it */
  source?: string;
  /** where the process behind a vhost-user-blk disk listens; without it `-set` gives it */
  socket?: string;
  /** comment at the top, ended by a newline */
  head: string;
}

/** The text of a fragment for `-readconfig`. */
export function fragmentText(
  path: DataPath,
  disk: FragmentDisk,
  profile: QemuDriveDefaults,
  traits: Traits,
): string {
  const body = { 'virtio-blk': virtioBlk, 'vhost-user-blk': vhostUserBlk, 'vhost-blk': vhostBlk }[path];
  return `${disk.head}\n${body(disk, profile, traits)}`;
}

/** Arguments that go with a fragment: a disk whose virtqueues are spread over iothreads can be said in JSON only. */
export function fragmentArguments(
  path: DataPath,
  id: string,
  profile: QemuDriveDefaults,
  { mapping }: Traits,
): string[] {
  const threads = threadsOf(profile);
  if (path !== 'virtio-blk' || !mapping || threads < 2) return [];
  const device = {
    driver: 'virtio-blk-pci',
    id: `${id}-device`,
    drive: id,
    'iothread-vq-mapping': Array.from({ length: threads }, (_, index) => ({ iothread: `${id}-io${index}` })),
  };
  return ['-device', JSON.stringify(device)];
}

/** Iothreads of a disk: none without a virtqueue to serve. */
function threadsOf({ iothreads, queues }: QemuDriveDefaults): number {
  return queues === 'vcpus' ? iothreads : Math.min(iothreads, queues);
}

/** The fragment of a data path with a disk of any name, which is told apart by `-set`. */
export function templateText(path: DataPath, profile: QemuDriveDefaults, traits: Traits): string {
  const own = fragmentArguments(path, 'disk0', profile, traits).map((word) =>
    word.startsWith('{') ? `'${word}'` : word,
  );
  const lines = {
    'virtio-blk': [['-set drive.disk0.file=/dev/VG/LV', ...(own.length > 0 ? [own.join(' ')] : [])], ''],
    'vhost-user-blk': [
      [
        '-set chardev.disk0.path=/run/vhost-blk/NAME.sock',
        '-m 4G -object memory-backend-memfd,id=ram,size=4G,share=on -machine memory-backend=ram',
      ],
      `#
# Guest memory must be shared, or the disk fails at its first request. Cache and aio belong to the process behind the
# socket.
`,
    ],
    'vhost-blk': [
      ['-set drive.disk0.file=/dev/VG/LV'],
      `#
# A block device only. The kernel works below the page cache, so QEMU must not use it either: cache is none whatever the
# profile says, and aio has no meaning.
`,
    ],
  } as const;
  const [words, more] = lines[path];
  const head = `# Part of blkfleet: one disk by ${path}. Changes by hand are drift.
#
# qemu-system-x86_64 ... -readconfig ${fragmentPath(path)} \\
${words.map((word) => `#   ${word}`).join(' \\\n')}
${more}#
# For a second disk: sed 's/disk0/disk1/g' ${fragmentPath(path)} > /etc/qemu/disk1.conf,
# and -readconfig that file too${own.length > 0 ? ', with disk1 in its -device' : ''}. Queues, queue size and the write cache are defaults in
# ${CONF}; with -no-user-config (as libvirt does) they are not.
`;
  return fragmentText(path, { id: 'disk0', head }, profile, traits);
}

function virtioBlk({ id, source }: FragmentDisk, profile: QemuDriveDefaults, traits: Traits): string {
  const spread = fragmentArguments('virtio-blk', id, profile, traits).length > 0;
  const threads = Array.from({ length: spread ? threadsOf(profile) : 1 }, (_, index) => `${id}-io${index}`);
  const objects = threads.map((name) => `[object "${name}"]\n  qom-type = "iothread"\n\n`).join('');
  const device = `
[device "${id}-device"]
  driver = "virtio-blk-pci"
  drive = "${id}"
  iothread = "${id}-io0"
`;
  return `${objects}[drive "${id}"]
${source === undefined ? '' : `  file = "${source}"\n`}  if = "none"
  format = "raw"
  cache = "${profile.cache}"
  aio = "${profile.aio}"
  discard = "${profile.discard}"
  detect-zeroes = "${profile.detect_zeroes}"
${spread ? '' : device}`;
}

function vhostUserBlk({ id, socket }: FragmentDisk, profile: QemuDriveDefaults, traits: Traits): string {
  const queues = profile.queues === 'vcpus' ? '' : `  num-queues = "${profile.queues}"\n`;
  return `[chardev "${id}"]
  backend = "socket"
${socket === undefined ? '' : `  path = "${socket}"\n`}  ${traits.reconnect} = "${traits.reconnect === 'reconnect' ? 1 : 1000}"

[device "${id}-device"]
  driver = "vhost-user-blk-pci"
  chardev = "${id}"
${queues}  queue-size = "${profile.queue_size}"
`;
}

/** The device takes the descriptor below the format layer: raw over the block device, without the page cache. */
function vhostBlk({ id, source }: FragmentDisk, profile: QemuDriveDefaults): string {
  return `[drive "${id}"]
${source === undefined ? '' : `  file = "${source}"\n`}  if = "none"
  format = "raw"
  cache = "none"
  discard = "${profile.discard}"

[device "${id}-device"]
  driver = "vhost-blk-pci"
  drive = "${id}"
`;
}
