import { z } from 'zod';

/** Property `num-queues` of virtio-blk-pci that means a queue a vCPU (VIRTIO_BLK_AUTO_NUM_QUEUES). */
export const AUTO_QUEUES = 65_535;

const binary = z
  .string()
  .regex(/^(?:\/[A-Za-z0-9_+.-]+)+$/, 'must be an absolute path of letters, digits and _ + . -')
  .refine((path) => !path.split('/').includes('..'), "must be written plainly, without '..'");

export const qemuDriveDefaultsSchema = z
  .strictObject({
    state: z
      .enum(['present', 'absent'])
      .default('present')
      .describe('absent undoes everything and leaves the lines of others as they are.'),
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
    data_path: z
      .enum(['auto', 'virtio-blk', 'vhost-user-blk', 'vhost-blk'])
      .default('auto')
      .describe(
        'What /etc/blkfleet/qemu/disk.conf points to. auto: vhost-blk where every QEMU found has it, else virtio-blk.',
      ),
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
  });

export type QemuDriveDefaults = z.output<typeof qemuDriveDefaultsSchema>;
