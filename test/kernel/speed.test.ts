import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { goals } from './bench/goals.ts';
import { type BenchResult, disks, type Plan, runBench } from './bench/guest.ts';
import { ratioBetween, ratioTable } from './bench/tables.ts';
import { kernelLines } from './lines.ts';
import { prepareLine } from './prepare.ts';
import { showTable } from './table.ts';

// Instructions are counted, so that neither the machine's speed nor its load matters. The prepared part comes from the cache
// once the matrix has run; the guest takes about a minute when the machine is quiet.
const PREPARE_MS = 30 * 60_000;
const BOOT_MS = 60 * 60_000;

const plan: Plan = {
  engines: ['vhost-blk', 'libaio', 'io_uring'],
  ops: ['read', 'write'],
  depths: [32, 128],
  queues: [1],
  rounds: 3,
  seconds: 0.2,
  warmUp: 0.05,
};

// Those of the machine's own clock are none of a test's: see docs/performance.md.
const cases = goals
  .filter(({ clock }) => clock === 'icount')
  .flatMap((goal) => disks.flatMap(({ name: disk }) => plan.ops.map((op) => ({ ...goal, disk, op }))));

describe.each(kernelLines)('speed of vhost_blk on kernel $line ($suite)', (line) => {
  let result: BenchResult;

  beforeAll(async () => {
    const prepared = await prepareLine(line, (text) => console.log(`[${line.line}] ${text}`));
    result = await runBench(prepared, 'icount', [plan], []);
  }, PREPARE_MS + BOOT_MS);

  afterAll(() => {
    if (result) showTable(`speed on ${result.release}, instructions counted`, ratioTable(result));
  });

  test('every measurement was made, and two of three of the module agree', () => {
    expect(result.boot.exit, result.boot.output.split('\n').slice(-20).join('\n')).toBe(0);
    expect(result.measurements.length).toBe(plan.engines.length * plan.ops.length * plan.depths.length * 2);
    for (const { engine, outcome, trouble, best, median } of result.measurements) {
      expect(outcome, trouble).toBe('ok');
      // libaio on 7.x has two speeds on null_blk, one half of the other.
      if (engine === 'vhost-blk') expect(best / median).toBeLessThan(1.03);
    }
  });

  test('there are goals to be met', () => {
    expect(cases.length).toBeGreaterThanOrEqual(2 * disks.length * plan.ops.length);
  });

  test.each(cases)('$op of $disk, $text: at least $atLeast', ({ of, other, disk, op, atLeast }) => {
    expect(ratioBetween(result, { ...of, disk, op }, { ...other, disk, op })).toBeGreaterThanOrEqual(atLeast);
  });
});
