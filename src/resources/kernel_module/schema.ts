import { z } from 'zod';

// It stands in a line of modprobe.d, which knows quotes only around all of a value, and comments by #.
const text = z
  .string()
  .max(1024)
  .regex(/^[^\s"'\\#\p{Cc}]*$/u, 'a parameter can not hold white space, quotes, # or \\');

export const kernelModuleSchema = z
  .strictObject({
    name: z
      .string()
      .regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,55}$/, 'must be the name of a module')
      .transform((name) => name.replaceAll('-', '_'))
      .describe('The module, without .ko; - and _ are the same.'),
    state: z
      .enum(['loaded', 'absent'])
      .default('loaded')
      .describe(
        'loaded: the module on disk is the one that runs. absent: unloaded where nothing uses it, and all that blkfleet keeps of it removed.',
      ),
    boot: z
      .boolean()
      .default(true)
      .describe(
        'Load it at boot, by a guarded unit: a module with which the host did not stay up is quarantined and skipped.',
      ),
    parameters: z
      .record(
        z.string().regex(/^[A-Za-z0-9_]{1,64}$/, 'must be the name of a parameter'),
        z.union([text, z.number(), z.boolean()]),
      )
      .default({})
      .describe('Parameters that must be in force, as /sys/module/NAME/parameters shows them.'),
  })
  .superRefine((desired, context) => {
    if (desired.state === 'absent' && Object.keys(desired.parameters).length > 0)
      context.addIssue({
        code: 'custom',
        path: ['parameters'],
        message: 'an absent module has no parameters',
      });
  });

export type KernelModuleDesired = z.output<typeof kernelModuleSchema>;
