import { defineKind } from '../kind.ts';
import { planModule } from './plan.ts';
import { type ModuleState, parseModule, probeModules } from './probe.ts';
import { type KernelModuleDesired, kernelModuleSchema } from './schema.ts';
import { moduleSteps } from './steps.ts';
import { kernelModuleExample, kernelModuleHabits, moduleClaims } from './words.ts';

/** A module in the running kernel, and how it comes there at boot. */
export const kernelModule = defineKind<KernelModuleDesired, ModuleState>({
  kind: 'kernel_module',
  summary:
    'Loads a module, keeps the loaded one equal to the one on disk, and loads it at boot behind a guard',
  schema: kernelModuleSchema,
  example: kernelModuleExample,
  habits: kernelModuleHabits,
  claims: moduleClaims,
  probe: probeModules,
  parse: parseModule,
  plan: planModule,
  steps: moduleSteps,
});
