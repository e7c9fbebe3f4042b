import { z } from 'zod';

/** Bases that the attach tool takes (CHAIN_MAX_BASES). */
const MAX_BASES = 16;
/** What the target keeps in any case, and what it takes at most (QCOW2_CACHE_RESERVE, QCOW2_CACHE_MAX_KIB). */
const CACHE_KIB = { min: 2048, max: 4_194_304, default: 8192 };
/** The cache is counted in slices of this size; what the kernel tells of it is then what was declared. */
const SLICE_KIB = 4;

// It stands in a line of a file of ours, and in double quotes in a unit's RequiresMountsFor=.
const path = z
  .string()
  .refine((text) => Buffer.byteLength(text) <= 1024, 'is longer than 1024 bytes')
  .regex(/^\/[^\p{Cc}"\\]+$/u, 'must be an absolute path without quotes, backslashes and control characters')
  .refine(
    (text) =>
      !text
        .slice(1)
        .split('/')
        .some((part) => part === '' || part === '.' || part === '..' || Buffer.byteLength(part) > 255),
    "must be written plainly: no '.', '..', double or trailing slash, and no name longer than 255 bytes",
  );

export const qcow2DeviceSchema = z
  .strictObject({
    name: z
      .string()
      .regex(
        /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/,
        "must begin with a letter or a digit, and hold only these and '.', '_', '-'",
      )
      .refine((name) => name !== 'control', "is the device mapper's own")
      .describe('The device is /dev/mapper/NAME.'),
    state: z
      .enum(['present', 'absent'])
      .default('present')
      .describe(
        'present: attached with these settings. absent: detached where nothing uses it, and all that blkfleet keeps of it removed; the image stays.',
      ),
    image: path
      .optional()
      .describe(
        'The QCOW2 file on the host. It is not made: a task before this one does that. Its format and that of all files below it is told by the images, never guessed.',
      ),
    read_only: z.boolean().default(false).describe('true: nothing is ever written to the image.'),
    base: z
      .array(path)
      .max(MAX_BASES)
      .default([])
      .describe(
        'Folders in which files that images name (backing files, external data) may lie, beside the folder of the image that names them.',
      ),
    cache_kib: z
      .int()
      .min(CACHE_KIB.min)
      .max(CACHE_KIB.max)
      .multipleOf(SLICE_KIB)
      .default(CACHE_KIB.default)
      .describe(
        `Most memory for the metadata of the images, in KiB, a multiple of ${SLICE_KIB}. 8192 is enough to map 64 GiB in clusters of 64 KiB.`,
      ),
    boot: z
      .boolean()
      .default(true)
      .describe('Attach it at boot, too: after local file systems and the load of dm_qcow2, before libvirt.'),
  })
  .superRefine(({ state, image }, context) => {
    if (state === 'present' && image === undefined)
      context.addIssue({
        code: 'custom',
        path: ['image'],
        message: 'a device that is present needs an image',
      });
  });

export type Qcow2DeviceDesired = z.output<typeof qcow2DeviceSchema>;
