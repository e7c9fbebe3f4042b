import { createTwoFilesPatch } from 'diff';
import { describe, expect, it } from 'vitest';
import { diffFile, firstDifference } from '../../../src/lib/unified-diff.ts';

const lines = (count: number) => Array.from({ length: count }, (_, index) => `line ${index + 1}`);
const patch = (from: string[], to: string[], context = 3) =>
  createTwoFilesPatch(
    '/etc/x',
    '/etc/x',
    from.map((l) => `${l}\n`).join(''),
    to.map((l) => `${l}\n`).join(''),
    '',
    '',
    { context },
  );

describe('firstDifference', () => {
  it.each([0, 1, 3, 10])('finds a changed line with %i lines of context', (context) => {
    const to = lines(30);
    to[16] = 'other';
    expect(firstDifference(patch(lines(30), to, context))).toEqual({
      line: 17,
      from: 'line 17',
      to: 'other',
    });
  });

  it('finds an added, a removed and the very first line', () => {
    expect(firstDifference(patch(lines(3), [...lines(3), 'new']))).toEqual({
      line: 4,
      from: null,
      to: 'new',
    });
    expect(firstDifference(patch(lines(3), lines(2)))).toEqual({ line: 3, from: 'line 3', to: null });
    expect(firstDifference(patch([], ['new']))).toEqual({ line: 1, from: null, to: 'new' });
    expect(firstDifference(patch(['old'], ['new']))).toEqual({ line: 1, from: 'old', to: 'new' });
  });

  it('answers null for text without a hunk', () => {
    expect(firstDifference('')).toBeNull();
    expect(firstDifference('binary files differ')).toBeNull();
    expect(firstDifference('@@ -1 +1 @@\n same')).toBeNull();
  });
});

describe('diffFile', () => {
  it('reads the heading', () => {
    expect(diffFile(patch(['a'], ['b']))).toBe('/etc/x');
    expect(diffFile('--- /dev/null\n+++ b/etc/y\t2026\n@@')).toBe('etc/y');
    expect(diffFile('@@ -1 +1 @@\n-a\n+b')).toBeUndefined();
  });
});
