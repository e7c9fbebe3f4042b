import { defineKind } from '../kind.ts';
import { planKernel } from './plan.ts';
import { type KernelState, parseKernel, probeKernels } from './probe.ts';
import { type KernelDesired, kernelSchema } from './schema.ts';
import { kernelSteps } from './steps.ts';
import { kernelExample, kernelHabits } from './words.ts';

/** Gates on the running kernel, and headers for the kernels that modules are built for. */
export const kernel = defineKind<KernelDesired, KernelState>({
  kind: 'kernel',
  summary: 'Stops a host whose kernel does not fit, and installs the headers that building modules needs',
  schema: kernelSchema,
  example: kernelExample,
  habits: kernelHabits,
  probe: probeKernels,
  parse: parseKernel,
  plan: planKernel,
  steps: kernelSteps,
});
