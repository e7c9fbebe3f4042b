import { z } from 'zod';

const folder = z
  .string()
  .min(1)
  .refine((path) => !path.includes('\0'), 'a path can not hold a NUL byte');

export const dkmsSchema = z
  .strictObject({
    source: z
      .union([folder, z.array(folder).min(1).max(16)])
      .optional()
      .describe(
        'The folder of the package, relative to the playbook, or several that are merged at their root; one holds dkms.conf. Products of kbuild in them are left out.',
      ),
    name: z
      .string()
      .regex(/^[A-Za-z0-9][A-Za-z0-9._+~-]{0,63}$/, 'must be the name of a dkms package')
      .optional()
      .describe('PACKAGE_NAME, for state: absent where there is no source.'),
    state: z
      .enum(['present', 'absent'])
      .default('present')
      .describe(
        'present: built and installed for every installed kernel that has headers. absent: no version of it, no trace.',
      ),
    keep_old: z
      .boolean()
      .default(false)
      .describe('Keep other versions of the package; by default they go once the declared one is in.'),
  })
  .superRefine((desired, context) => {
    if (desired.source === undefined && (desired.state === 'present' || desired.name === undefined))
      context.addIssue({
        code: 'custom',
        path: ['source'],
        message: desired.state === 'present' ? 'source is required' : 'source or name is required',
      });
    if (desired.source !== undefined && desired.name !== undefined)
      context.addIssue({
        code: 'custom',
        path: ['name'],
        message: 'name comes from the dkms.conf in source',
      });
  });

export type DkmsDesired = z.output<typeof dkmsSchema>;
