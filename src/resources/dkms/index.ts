import { defineKind } from '../kind.ts';
import { readPackage, sourceAssets } from './package.ts';
import { planDkms } from './plan.ts';
import { probeDkms } from './probe.ts';
import { type DkmsDesired, dkmsSchema } from './schema.ts';
import { type DkmsState, parseDkms } from './state.ts';
import { dkmsSteps } from './steps.ts';
import { dkmsClaims, dkmsExample, dkmsHabits } from './words.ts';

/** Module sources of ours, built by DKMS for every installed kernel. */
export const dkms = defineKind<DkmsDesired, DkmsState>({
  kind: 'dkms',
  summary:
    'Pushes a folder of module sources and has DKMS build and install it for every kernel with headers',
  schema: dkmsSchema,
  example: dkmsExample,
  habits: dkmsHabits,
  claims: dkmsClaims,
  assets: sourceAssets,
  check: (input) =>
    input.desired.source === undefined
      ? []
      : readPackage(input).problems.map((problem) => ({ key: 'source', ...problem })),
  probe: probeDkms,
  parse: parseDkms,
  plan: planDkms,
  steps: dkmsSteps,
});
