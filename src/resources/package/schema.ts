import { z } from 'zod';

// A trailing '-' would tell apt to remove, and a pattern character to guess; neither can stand in a real name.
const packageName = z
  .string()
  .max(128)
  .regex(
    /^[a-z0-9][a-z0-9+.-]*[a-z0-9+.](:[a-z0-9-]{1,32})?$/,
    'must be the name of one package, such as qemu-utils or libc6:arm64',
  );

export const packageSchema = z
  .strictObject({
    name: packageName
      .optional()
      .describe('One package, by its real name, without a version; `:arch` may follow.'),
    names: z
      .array(packageName)
      .min(1)
      .max(200)
      .optional()
      .describe('Several packages, installed or removed at once.'),
    state: z
      .enum(['present', 'absent'])
      .optional()
      .describe(
        'present (default): installed, in whatever version is there. absent: removed, its configuration kept.',
      ),
    recommends: z
      .boolean()
      .optional()
      .describe(
        'Also install what the packages recommend. Default false: name what you need, such as gcc beside dkms.',
      ),
  })
  .refine((value) => (value.name === undefined) !== (value.names === undefined), {
    message: 'give either name or names',
  });

export type PackageDeclaration = z.output<typeof packageSchema>;
