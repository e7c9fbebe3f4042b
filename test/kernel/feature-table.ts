import type { CheckRun } from './run-checks.ts';
import { drawTable } from './table.ts';

/** How many cases of a feature ended how. */
export interface Tally {
  passed: number;
  failed: number;
  skipped: number;
}

/** Rows of the table, in its order. vhost-blk-check says with each case which of them it belongs to. */
export const featureRows = [
  'bio backend',
  'file backend',
  'several virtqueues',
  'several workers',
  'requests',
  'features',
  'config',
  'backend change',
  'owner dies',
  'safety',
  'to see',
  'to tune',
] as const;

/** Results of one kernel: feature → how its cases ended, over all runs. */
export function tallyFeatures(runs: readonly CheckRun[]): Map<string, Tally> {
  const sum = new Map<string, Tally>();
  for (const run of runs)
    for (const [row, tally] of run.rows) {
      const known = sum.get(row) ?? { passed: 0, failed: 0, skipped: 0 };
      known.passed += tally.passed;
      known.failed += tally.failed;
      known.skipped += tally.skipped;
      sum.set(row, known);
    }
  return sum;
}

/** Draws features × kernels; what the check knows and this file does not comes last. */
export function drawFeatures(kernels: readonly { name: string; features: Map<string, Tally> }[]): string {
  const rows = new Set<string>(featureRows);
  for (const { features } of kernels) for (const row of features.keys()) rows.add(row);
  return drawTable(
    ['feature', ...kernels.map(({ name }) => name)],
    [...rows].map((row) => [row, ...kernels.map(({ features }) => cell(features.get(row)))]),
  );
}

function cell(tally: Tally | undefined): string {
  if (!tally) return '-';
  const { passed, failed, skipped } = tally;
  const ran = failed > 0 ? `${passed}/${passed + failed} FAILED` : `${passed} ok`;
  return skipped > 0 ? `${ran} (${skipped} skipped)` : ran;
}
