import { drawTable } from '../table.ts';
import type { Qcow2Measurement, Qcow2Result } from './qcow2-guest.ts';

/** How many times the rate of another way dm-qcow2 must have. */
export interface Qcow2Goal {
  work: string;
  depth: number;
  /** The best of the ways whose names begin so. */
  other: string;
  atLeast: number;
}

export const OWN = 'dm-qcow2';

export const qcow2Goals: readonly Qcow2Goal[] = [
  { work: '4 KiB random read', depth: 32, other: 'qemu-nbd', atLeast: 4 },
  { work: '4 KiB random read', depth: 32, other: 'loop', atLeast: 0.8 },
  { work: '4 KiB random write', depth: 32, other: 'qemu-nbd', atLeast: 3 },
  { work: '4 KiB fresh write', depth: 32, other: 'qemu-nbd', atLeast: 1.5 },
];

/** The best of a measurement's rounds; NaN without any. */
function best(one: Qcow2Measurement | undefined): number {
  return one && one.iops.length > 0 ? Math.max(...one.iops) : Number.NaN;
}

/**
 * @param other the way to compare with: itself, or where none is called so, the best of those whose names begin so
 * @returns NaN where one of the two was not measured
 */
export function qcow2Ratio(result: Qcow2Result, work: string, depth: number, other: string): number {
  const here = result.measurements.filter((one) => one.work === work && one.depth === depth);
  const own = best(here.find(({ way }) => way === OWN));
  const named = here.filter(({ way }) => way === other);
  const rates = (named.length > 0 ? named : here.filter(({ way }) => way.startsWith(other)))
    .map(best)
    .filter((rate) => !Number.isNaN(rate));
  return rates.length > 0 ? own / Math.max(...rates) : Number.NaN;
}

/** The rate of dm-qcow2, and how many times that of each other way it is, best round by best round. */
export function qcow2Heading(result: Qcow2Result): string[] {
  return ['work', 'depth', `${OWN} /s`, ...othersOf(result).map((name) => `÷ ${name}`)];
}

/** Rows under qcow2Heading(). */
export function qcow2Rows(result: Qcow2Result): string[][] {
  const places = new Map(result.measurements.map((one) => [`${one.work}|${one.depth}`, one]));
  return [...places.values()].map(({ work, depth }) => [
    work,
    String(depth),
    best(
      result.measurements.find((one) => one.way === OWN && one.work === work && one.depth === depth),
    ).toFixed(0),
    ...othersOf(result).map((other) => {
      const ratio = qcow2Ratio(result, work, depth, other);
      return Number.isNaN(ratio) ? '–' : ratio.toFixed(2);
    }),
  ]);
}

export function qcow2Table(result: Qcow2Result): string {
  return drawTable(qcow2Heading(result), qcow2Rows(result));
}

function othersOf(result: Qcow2Result): string[] {
  return [...new Set(result.measurements.map(({ way }) => way))].filter((way) => way !== OWN);
}
