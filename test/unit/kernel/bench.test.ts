import { describe, expect, test } from 'vitest';
import type { BenchResult, Measurement } from '../../kernel/bench/guest.ts';
import { withSection } from '../../kernel/bench/page.ts';
import { ratioOf, ratioRows, ratioTable } from '../../kernel/bench/tables.ts';

function measurement(engine: string, depth: number, best: number): Measurement {
  return {
    ...{ disk: 'brd', op: 'read', queues: 1, direct: false, eventIdx: true, kicks: 0, signals: 0.5 },
    ...{ engine, depth, best, iops: [best], median: best, latencyUs: (depth * 1e6) / best },
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
    const where = { disk: 'brd', op: 'read', queues: 1, depth: 128 };
    expect(ratioOf(result, where, 'vhost-blk', 'libaio')).toBeCloseTo(1.1);
    expect(ratioOf(result, where, 'vhost-blk', 'vhost-scsi')).toBeNaN();
    expect(ratioOf(result, { ...where, depth: 32 }, 'vhost-blk', 'libaio')).toBeNaN();
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
});
