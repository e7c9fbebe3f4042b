import type { BenchResult, Clock, Measurement } from './guest.ts';
import { ratioBetween } from './tables.ts';

/** What is measured of an engine: everything but the disk and the direction. */
export type Way = Pick<Measurement, 'engine' | 'depth' | 'queues' | 'haltPollUs'>;

/** How many times the rate of another way one way must have, on every disk, for reads and for writes. */
export interface Goal {
  clock: Clock;
  text: string;
  of: Way;
  other: Way;
  atLeast: number;
}

/** What came of a goal on a kernel: the ratios of all disks and both directions. */
export interface Reached {
  lowest: number;
  highest: number;
  met: boolean;
}

const way = (engine: string, depth: number, queues = 1, haltPollUs = 0): Way => ({
  ...{ engine, depth, queues, haltPollUs },
});

/** KVM's default for a virtual CPU that halts. */
export const HALT_POLL_US = 200;

/** Those of clock 'icount' are tests; see speed.test.ts. */
export const goals: readonly Goal[] = [
  {
    ...{ clock: 'icount', text: 'depth 128 ÷ io_uring', atLeast: 1.1 },
    ...{ of: way('vhost-blk', 128), other: way('io_uring', 128) },
  },
  {
    ...{ clock: 'icount', text: 'depth 32 ÷ libaio', atLeast: 1 },
    ...{ of: way('vhost-blk', 32), other: way('libaio', 32) },
  },
  {
    ...{ clock: 'wall', text: 'two queues, two workers ÷ one and one, depth 128', atLeast: 1.8 },
    ...{ of: way('vhost-blk', 128, 2), other: way('vhost-blk', 128) },
  },
  {
    ...{ clock: 'wall', text: 'depth 32 ÷ vhost-user-blk', atLeast: 3 },
    ...{ of: way('vhost-blk', 32), other: way('vhost-user-blk', 32) },
  },
  {
    ...{ clock: 'wall', text: 'depth 1 without busy polling ÷ vhost-user-blk', atLeast: 1.3 },
    ...{ of: way('vhost-blk-sleep', 1), other: way('vhost-user-blk', 1) },
  },
  {
    ...{ clock: 'wall', text: 'depth 1 with busy polling ÷ vhost-user-blk', atLeast: 3 },
    ...{ of: way('vhost-blk-poll', 1), other: way('vhost-user-blk', 1) },
  },
  {
    ...{ clock: 'wall', text: 'depth 1 without, the guest polls ÷ vhost-user-blk, the same', atLeast: 1.3 },
    ...{ of: way('vhost-blk-sleep', 1, 1, HALT_POLL_US), other: way('vhost-user-blk', 1, 1, HALT_POLL_US) },
  },
  {
    ...{ clock: 'wall', text: 'depth 1 with, the guest polls ÷ vhost-user-blk, the same', atLeast: 3 },
    ...{ of: way('vhost-blk-poll', 1, 1, HALT_POLL_US), other: way('vhost-user-blk', 1, 1, HALT_POLL_US) },
  },
];

/**
 * @param disks where it must hold; one of them without a measurement makes the goal missed
 * @returns NaN for both ratios when there is none at all
 */
export function reached(
  result: BenchResult,
  { of, other, atLeast }: Goal,
  disks: readonly string[],
): Reached {
  const ratios = disks.flatMap((disk) =>
    ['read', 'write'].map((op) => ratioBetween(result, { ...of, disk, op }, { ...other, disk, op })),
  );
  const known = ratios.filter((ratio) => !Number.isNaN(ratio));
  return {
    lowest: known.length > 0 ? Math.min(...known) : Number.NaN,
    highest: known.length > 0 ? Math.max(...known) : Number.NaN,
    met: ratios.every((ratio) => ratio >= atLeast),
  };
}
