import { describe, expect, it } from 'vitest';
import { expandRange } from '../../../src/inventory/range.ts';

it.for<[string, string[]]>([
  ['hv', ['hv']],
  ['hv[1:3]', ['hv1', 'hv2', 'hv3']],
  ['hv[08:11]', ['hv08', 'hv09', 'hv10', 'hv11']],
  ['n[0:10:5].lan', ['n0.lan', 'n5.lan', 'n10.lan']],
  ['[a:c]', ['a', 'b', 'c']],
  ['r[A:B]h[1:2]', ['rAh1', 'rAh2', 'rBh1', 'rBh2']],
  ['hv[9:10]', ['hv9', 'hv10']],
  ['hv[5:5]', ['hv5']],
])('%s', ([name, hosts]) => {
  expect(expandRange(name)).toEqual(hosts);
});

describe('refuses', () => {
  it.for([
    'hv[3:1]',
    'hv[01:100]',
    'hv[a:Z]',
    'hv[a:3]',
    'hv[1:2:0]',
    'hv[]',
    'hv[1]',
    'hv[1:20000]',
    'hv[0:999][0:999]',
    'hv[0:999999999]',
    'hv[-1:3]',
  ])('%s', (name) => {
    expect(() => expandRange(name)).toThrow(RangeError);
  });
});
