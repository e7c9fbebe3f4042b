import { describe, expect, it } from 'vitest';
import { batches, stopReason } from '../../../src/engine/rollout.ts';

const names = (n: number) => Array.from({ length: n }, (_, i) => `h${i}`);

describe('batches', () => {
  it.each([
    [5, [], [5]],
    [5, [1], [1, 1, 1, 1, 1]],
    [7, [1, 2], [1, 2, 2, 2]],
    [3, [10], [3]],
    [4, [1, 100], [1, 3]],
    [2, [0], [1, 1]],
    [0, [1, 2], []],
    [0, [], []],
  ])('%i hosts in %j', (hosts, serial, sizes) => {
    const groups = batches(names(hosts), serial);
    expect(groups.map((group) => group.length)).toEqual(sizes);
    expect(groups.flat()).toEqual(names(hosts));
  });
});

describe('a rollout stops', () => {
  const state = { failed: 0, hosts: 10, maxFailPercentage: 10, canaryFailed: false };
  it.each([
    ['not while all is well', state, false],
    [
      'at a failed canary, whatever the budget',
      { ...state, canaryFailed: true, maxFailPercentage: 100 },
      true,
    ],
    ['not at the budget itself', { ...state, failed: 1 }, false],
    ['beyond the budget', { ...state, failed: 2 }, true],
    ['at the first failure without a budget', { ...state, failed: 1, maxFailPercentage: 0 }, true],
    ['never at 100 %', { ...state, failed: 10, maxFailPercentage: 100 }, false],
  ])('%s', (_, given, stops) => {
    expect(stopReason(given) !== null).toBe(stops);
  });
});
