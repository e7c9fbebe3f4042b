import { describe, expect, test } from 'vitest';
import { goals, reached } from '../../kernel/bench/goals.ts';
import type { BenchResult, Measurement } from '../../kernel/bench/guest.ts';
import { withGoals, withSection } from '../../kernel/bench/page.ts';
import { ratioBetween, ratioRows, ratioTable } from '../../kernel/bench/tables.ts';

function measurement(engine: string, depth: number, best: number): Measurement {
  return {
    ...{
      disk: 'brd',
      op: 'read',
      queues: 1,
      haltPollUs: 0,
      direct: false,
      eventIdx: true,
      kicks: 0,
      signals: 0.5,
    },
    ...{ engine, depth, best, iops: [best], cpuUs: [10], median: best, latencyUs: (depth * 1e6) / best },
    ...{ outcome: 'ok', trouble: '' },
  };
}

const result: BenchResult = {
  release: '6.12.1-amd64',
  clock: 'icount',
  measurements: [
    measurement('vhost-blk', 128, 220_000),
    measurement('libaio', 128, 200_000),
    { ...measurement('vhost-scsi', 128, 0), iops: [], outcome: 'skipped', trouble: 'no such thing' },
    measurement('vhost-blk', 1, 50_000),
    measurement('libaio', 1, 100_000),
  ],
  boot: { exit: 0, output: '', console: '', timedOut: false, ended: 'exit 0', seconds: 1 },
};

describe('tables of vhost-blk-bench', () => {
  test('a row for each depth in order, with the ratio to each competitor and a dash where there is none', () => {
    expect(ratioRows(result)).toEqual([
      ['brd', 'read', '1', '1', '50.0', '20.0', '0.50', '–', '0.500'],
      ['brd', 'read', '1', '128', '220.0', '581.8', '1.10', '–', '0.500'],
    ]);
    expect(ratioTable(result).split('\n')[0]).toContain('÷ libaio  ÷ vhost-scsi');
  });

  test('a ratio that can not be told is not a number, so that no target is met by it', () => {
    const where = (engine: string, depth = 128) => ({
      disk: 'brd',
      op: 'read',
      queues: 1,
      haltPollUs: 0,
      engine,
      depth,
    });
    expect(ratioBetween(result, where('vhost-blk'), where('libaio'))).toBeCloseTo(1.1);
    expect(ratioBetween(result, where('vhost-blk'), where('vhost-scsi'))).toBeNaN();
    expect(ratioBetween(result, where('vhost-blk', 32), where('libaio', 32))).toBeNaN();
  });
});

describe('goals', () => {
  const goal = { ...goals[0]!, of: way('vhost-blk'), other: way('libaio'), atLeast: 1.1 };
  const both = (op: string, own: number): Measurement[] => [
    { ...measurement('vhost-blk', 128, own), op },
    { ...measurement('libaio', 128, 100_000), op },
  ];

  function way(engine: string) {
    return { engine, depth: 128, queues: 1, haltPollUs: 0 };
  }

  test('met when the worst of disks and directions meets it', () => {
    const all = { ...result, measurements: [...both('read', 120_000), ...both('write', 111_000)] };
    expect(reached(all, goal, ['brd'])).toEqual({ lowest: 1.11, highest: 1.2, met: true });
    expect(reached(all, { ...goal, atLeast: 1.15 }, ['brd']).met).toBe(false);
  });

  test('missed when something was not measured', () => {
    const reads = { ...result, measurements: both('read', 120_000) };
    expect(reached(reads, goal, ['brd'])).toEqual({ lowest: 1.2, highest: 1.2, met: false });
    expect(reached({ ...result, measurements: [] }, goal, ['brd']).met).toBe(false);
  });
});

describe('docs/performance.md', () => {
  const page = 'before\n<!-- begin 6.12 icount -->\nold\n<!-- end 6.12 icount -->\nafter\n';

  test('only the section of that kernel and clock is replaced, again and again', () => {
    const once = withSection(page, result);
    expect(once).toMatch(/^before\n<!-- begin 6\.12 icount -->\nKernel 6\.12\.1-amd64:\n/);
    expect(once).toContain('| brd | read | 1 | 128 | 220.0 |');
    expect(once).not.toContain('old');
    expect(once).toMatch(/<!-- end 6\.12 icount -->\nafter\n$/);
    expect(withSection(once, result)).toBe(once);
  });

  test('a kernel without a place in the page is told', () => {
    expect(() => withSection(page, { ...result, release: '7.3.4' })).toThrow("no markers for '7 icount'");
  });

  test('in the table of goals only cells of that kernel and clock are replaced', () => {
    const empty = 'before\n<!-- begin goals -->\n<!-- end goals -->\nafter\n';
    const measurements = ['brd', 'null_blk'].flatMap((disk) =>
      ['read', 'write'].flatMap((op) => [
        { ...measurement('vhost-blk', 128, 119_900), disk, op },
        { ...measurement('io_uring', 128, 100_000), disk, op },
      ]),
    );
    const once = withGoals(empty, { ...result, measurements });
    expect(once).toContain(
      '| depth 128 ÷ io_uring | icount | 1.1 | not measured | not measured | 1.19 | not measured |',
    );
    const slow = measurements.map((one) => ({
      ...one,
      best: one.engine === 'io_uring' ? 110_000 : one.best,
    }));
    const twice = withGoals(once, { ...result, release: '7.3.4-amd64', measurements: slow });
    expect(twice).toContain('| 1.19 | **missed** 1.09 |');
    expect(withGoals(twice, { ...result, clock: 'wall', measurements })).toBe(twice);
    expect(twice).toMatch(/^before\n/);
    expect(twice).toMatch(/\nafter\n$/);
  });
});
