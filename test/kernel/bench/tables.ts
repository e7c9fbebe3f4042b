import { drawTable } from '../table.ts';
import type { BenchResult, Measurement } from './guest.ts';

interface Row {
  disk: string;
  op: string;
  queues: number;
  depth: number;
  haltPollUs: number;
  /** By engine. */
  of: Map<string, Measurement>;
}

/** The rate of the first engine, and how many times that of each other it is. */
export function ratioHeading(result: BenchResult): string[] {
  const [first, ...others] = enginesOf(result);
  return [
    ...['disk', 'op', 'queues', 'depth', `${first} k/s`, 'µs'],
    ...others.map((name) => `÷ ${name}`),
    'signals/IO',
  ];
}

/** Rows under ratioHeading(); best of the rounds by best of the rounds. */
export function ratioRows(result: BenchResult): string[][] {
  const [first, ...others] = enginesOf(result);
  return rowsOf(result).map((row) => {
    const own = row.of.get(first!);
    return [
      ...[row.disk, row.op, String(row.queues), `${row.depth}${row.haltPollUs > 0 ? ', guest polls' : ''}`],
      own?.best ? (own.best / 1000).toFixed(1) : '–',
      own?.best ? own.latencyUs.toFixed(1) : '–',
      ...others.map((name) => ratioText(own, row.of.get(name))),
      own?.best ? own.signals.toFixed(3) : '–',
    ];
  });
}

export function ratioTable(result: BenchResult): string {
  return drawTable(ratioHeading(result), ratioRows(result));
}

/** Which measurement. */
export type Place = Pick<Measurement, 'engine' | 'disk' | 'op' | 'queues' | 'depth' | 'haltPollUs'>;

/** How many times faster one measurement was than another, best round by best round; NaN where one of them gave nothing. */
export function ratioBetween(result: BenchResult, one: Place, other: Place): number {
  const find = (place: Place) =>
    result.measurements.find(
      (found) =>
        found.engine === place.engine &&
        found.disk === place.disk &&
        found.op === place.op &&
        found.queues === place.queues &&
        found.depth === place.depth &&
        found.haltPollUs === place.haltPollUs,
    );
  return (find(one)?.best || Number.NaN) / (find(other)?.best || Number.NaN);
}

function ratioText(own: Measurement | undefined, other: Measurement | undefined): string {
  return own?.best && other?.best ? (own.best / other.best).toFixed(2) : '–';
}

function enginesOf(result: BenchResult): string[] {
  return [...new Set(result.measurements.map((one) => one.engine))];
}

function rowsOf(result: BenchResult): Row[] {
  const rows = new Map<string, Row>();
  for (const one of result.measurements) {
    const key = [one.disk, one.op, one.queues, one.depth, one.haltPollUs].join();
    const row = rows.get(key) ?? { ...one, of: new Map() };
    rows.set(key, row);
    row.of.set(one.engine, one);
  }
  return [...rows.values()].sort(
    (a, b) =>
      b.disk.localeCompare(a.disk) ||
      a.op.localeCompare(b.op) ||
      a.queues - b.queues ||
      a.depth - b.depth ||
      a.haltPollUs - b.haltPollUs,
  );
}
