import type { BenchResult, BenchRw, BenchWay } from '../events/bench.ts';
import type { Sample } from './sample.ts';

/** Gathers the measurements of a run, and makes the rows of its table. */
export class Results {
  readonly #samples = new Map<string, Sample[]>();
  readonly #skipped = new Map<BenchWay, string>();

  add(way: BenchWay, rw: BenchRw, vcpus: number, sample: Sample): void {
    const key = `${rw} ${vcpus} ${way}`;
    this.#samples.set(key, [...(this.#samples.get(key) ?? []), sample]);
  }

  /** A way that is not measured at all, and why. */
  skip(way: BenchWay, reason: string): void {
    this.#skipped.set(way, reason);
  }

  /** A row for each rw, number of virtual CPUs and way, in this order. */
  rows(rws: readonly BenchRw[], vcpus: readonly number[], ways: readonly BenchWay[]): BenchResult[] {
    const rows: BenchResult[] = [];
    for (const rw of rws)
      for (const count of vcpus) {
        const host = this.#row('host', rw, count).median;
        for (const way of ways) {
          const row = this.#row(way, rw, count);
          rows.push({ ...row, ratio: row.median !== null && host ? row.median / host : null });
        }
      }
    return rows;
  }

  #row(way: BenchWay, rw: BenchRw, vcpus: number): BenchResult {
    const samples = this.#samples.get(`${rw} ${vcpus} ${way}`) ?? [];
    const good = samples.filter((sample) => sample.ok);
    const bad = samples.filter((sample) => !sample.ok);
    const skipped = this.#skipped.get(way);
    const iops = good.map((sample) => sample.iops);
    const cpu = good.flatMap((sample) => (sample.cpuUs === null ? [] : [sample.cpuUs]));
    const failed = bad.some((sample) => !sample.skipped);
    return {
      rw,
      vcpus,
      way,
      outcome: failed ? 'failed' : good.length > 0 ? 'measured' : 'not measured',
      reason: bad[0]?.reason ?? (good.length > 0 ? null : (skipped ?? 'the run ended before')),
      iops,
      median: median(iops),
      ratio: null,
      cpuUs: median(cpu),
    };
  }
}

/** The middle of some numbers, the mean of both where there are two; null of none. */
export function median(values: readonly number[]): number | null {
  const sorted = [...values].sort((a, b) => a - b);
  const [low, high] = [sorted[(sorted.length - 1) >> 1], sorted[sorted.length >> 1]];
  return low === undefined || high === undefined ? null : (low + high) / 2;
}
