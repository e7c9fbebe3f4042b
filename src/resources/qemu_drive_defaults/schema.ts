import { posix } from 'node:path';
import { z } from 'zod';
import { rangeProblem } from '../../facts/kernel-release.ts';

/** QEMUs that this was tried with: from Debian 11's to the newest. */
const KNOWN_QEMUS = '>=5.2 <12';

/** Property `num-queues` of virtio-blk-pci that means a queue a vCPU (VIRTIO_BLK_AUTO_NUM_QUEUES). */
export const AUTO_QUEUES = 65_535;

const binary = z
  .string()
  .regex(/^(?:\/[A-Za-z0-9_+.-]+)+$/, 'must be an absolute path of letters, digits and _ + . -')
  .refine((path) => !path.split('/').includes('..'), "must be written plainly, without '..'");

// They stand in double quotes in a file that knows no escape, and in a command line.
const source = z
  .string()
  .max(512)
  .regex(/^\/[A-Za-z0-9_+.@:=-][A-Za-z0-9_+.@:=/-]*$/, 'must be an absolute path without spaces and quotes')
  .refine(
    (path) => path === posix.normalize(path) && !path.endsWith('/'),
    "must be written plainly, without '.', '..', '//' and a '/' at its end",
  );

const dataPath = z.enum(['auto', 'virtio-blk', 'vhost-user-blk', 'vhost-blk']);

const disk = z.strictObject({
  name: z
    .string()
    .regex(/^[A-Za-z][A-Za-z0-9_-]{0,31}$/, 'must begin with a letter, and hold letters, digits, _ and -')
    .describe('Names its files, its id in QEMU, and the unit vhost-blk@NAME that serves it.'),
  source: source.describe('The block device, or a raw image.'),
  data_path: dataPath.optional().describe('Of this disk alone; else as for all.'),
});

const pattern = z
  .string()
  .regex(
    /^[A-Za-z0-9_.*?-][A-Za-z0-9_.*?@:+ -]{0,127}$/,
    'must be a name, with * and ? for any text and character',
  );

const libvirt = z.strictObject({
  uri: z
    .string()
    .regex(/^[a-z][a-z0-9+]*:\/\/\/[A-Za-z0-9/?=_.-]*$/, 'must be a local URI such as qemu:///system')
    .default('qemu:///system')
    .describe('The libvirt driver.'),
  domains: z
    .array(pattern)
    .min(1)
    .max(64)
    .describe(
      'Names of domains, with * and ?, whose persistent definition follows the profile. A guest that runs is never touched: it has effect from its next start.',
    ),
});

export const qemuDriveDefaultsSchema = z
  .strictObject({
    state: z
      .enum(['present', 'absent'])
      .default('present')
      .describe(
        'absent undoes everything and leaves the lines of others as they are; a disk that a guest has by the bridge is served until that guest has ended.',
      ),
    queues: z
      .union([z.literal('vcpus'), z.int().min(1).max(1024)], {
        error: 'must be vcpus, or a number from 1 to 1024',
      })
      .default('vcpus')
      .describe(
        'Virtqueues of a disk: vcpus (one for each vCPU of the guest, QEMU decides at its start) or a number. Guests see it: it must be the same on all hosts that a guest migrates between.',
      ),
    queue_size: z
      .int()
      .min(4)
      .max(1024)
      .refine((size) => (size & (size - 1)) === 0, 'must be a power of two')
      .default(256)
      .describe('Descriptors in each virtqueue, a power of two from 4 to 1024.'),
    cache: z
      .enum(['none', 'directsync', 'writeback', 'writethrough'])
      .default('none')
      .describe(
        'The cache mode of a drive. QEMU has no default for it that could be set: it stands in the fragments. As default only the write cache that the guest sees can be set: on for none and writeback, off for the others.',
      ),
    aio: z
      .enum(['native', 'io_uring', 'threads'])
      .default('native')
      .describe(
        'How QEMU does the I/O of a virtio-blk disk; stands in its fragment, QEMU has no default for it.',
      ),
    discard: z
      .enum(['unmap', 'ignore'])
      .default('unmap')
      .describe(
        'unmap: a guest is offered discard (a default) and it reaches the disk (in the fragments). ignore: neither.',
      ),
    detect_zeroes: z
      .enum(['off', 'on', 'unmap'])
      .default('off')
      .describe('Whether QEMU looks for writes of zeroes; stands in the fragment of virtio-blk.'),
    data_path: dataPath
      .default('auto')
      .describe(
        'How disks reach the host. auto: vhost-blk where every QEMU found has it, else vhost-user-blk where the bridge of vhost_blk (the unit vhost-blk@) is installed and the module loaded, for a libvirt domain only where it serves that disk, else virtio-blk.',
      ),
    iothreads: z
      .int()
      .min(1)
      .max(16)
      .default(2)
      .describe(
        'Threads of a virtio-blk disk: its virtqueues are spread over them where QEMU has iothread-vq-mapping (9.0), else one serves it.',
      ),
    disks: z
      .array(disk)
      .max(256)
      .default([])
      .describe(
        'Disks for guests that are started directly, each a map of name, source, and data_path where it is not that of all: each gets a fragment for -readconfig, by vhost-user-blk the unit vhost-blk@NAME that serves it now and at boot, and its command line is told.',
      ),
    libvirt: libvirt
      .optional()
      .describe(
        "The policy for libvirt's domains, a map of domains (names, with * and ?) and uri (qemu:///system). Without it they are left as they are.",
      ),
    managers: z
      .enum(['set', 'leave'])
      .default('set')
      .describe(
        'set: where OpenNebula, Nova or Ganeti composes the command line, the profile is written into its own keys.',
      ),
    qemu_versions: z
      .string()
      .superRefine((range, context) => {
        const problem = rangeProblem(range);
        if (problem) context.addIssue({ code: 'custom', message: problem });
      })
      .default(KNOWN_QEMUS)
      .describe('Versions of QEMU that are accepted; another is refused, as what it does is not known.'),
    binaries: z
      .array(binary)
      .min(1)
      .max(8)
      .optional()
      .describe(
        "The QEMU programs to probe. Without it those of the host's own architecture in the usual folders are found.",
      ),
    absent_ok: z
      .boolean()
      .default(false)
      .describe('true: a host without QEMU is in sync. Otherwise such a host fails.'),
  })
  .superRefine((profile, context) => {
    const issue = (key: string, message: string) =>
      context.addIssue({ code: 'custom', path: [key], message });
    if (profile.aio === 'native' && !['none', 'directsync'].includes(profile.cache))
      issue('aio', `native needs cache none or directsync, not ${profile.cache}`);
    if (profile.detect_zeroes === 'unmap' && profile.discard !== 'unmap')
      issue('detect_zeroes', 'unmap needs discard: unmap');
    // A disk that two guests write is lost, and the bridge of the second one does not start.
    for (const key of ['name', 'source'] as const) {
      const values = profile.disks.map((disk) => disk[key]);
      const twice = values.find((value, index) => values.indexOf(value) !== index);
      if (twice !== undefined) issue('disks', `${twice} is there twice`);
    }
  });

export type QemuDriveDefaults = z.output<typeof qemuDriveDefaultsSchema>;
