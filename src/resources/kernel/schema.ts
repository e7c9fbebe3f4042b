import { z } from 'zod';
import { rangeProblem } from '../../facts/kernel-release.ts';

const lockdownMode = z.enum(['none', 'integrity', 'confidentiality']);

export const kernelSchema = z.strictObject({
  release: z
    .string()
    .superRefine((range, context) => {
      const problem = rangeProblem(range);
      if (problem) context.addIssue({ code: 'custom', message: problem });
    })
    .optional()
    .describe(
      'A semver range for the running kernel, such as ">=5.10". Suffixes of distributions (-41-cloud-amd64, +deb13, .el9) are left out of the comparison; on Debian the stable release from uname -v counts.',
    ),
  headers: z
    .enum(['all', 'running', 'installed', 'none'])
    .default('none')
    .describe(
      'Kernels that must have headers, so that modules can be built: the running one and every installed one (all), the running one, every one under /lib/modules and /boot (installed), or none. Missing ones are installed by apt.',
    ),
  secure_boot: z
    .enum(['any', 'off'])
    .default('any')
    .describe('off: a host with Secure Boot on is stopped before anything changes.'),
  lockdown: z
    .array(lockdownMode)
    .min(1)
    .optional()
    .describe('The lockdown modes that are accepted; a kernel without lockdown counts as none.'),
});

export type KernelDesired = z.output<typeof kernelSchema>;
