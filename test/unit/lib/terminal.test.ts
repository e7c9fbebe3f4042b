import { describe, expect, it } from 'vitest';
import { cut, displayWidth, printable } from '../../../src/lib/terminal.ts';

describe('printable', () => {
  it.each([
    ['plain text ~!@ {}', 'plain text ~!@ {}'],
    ['Größe 値 ✓ 🚀', 'Größe 値 ✓ 🚀'],
    ['a\nb\tc\rd', 'a\\nb\\tc\\rd'],
    ['\x1b[2J\x1b]0;t\x07', '\\x1b[2J\\x1b]0;t\\x07'],
    ['\x9b31m\x7f\0\b', '\\x9b31m\\x7f\\x00\\x08'],
    ['user\u202egpj.exe\u2066', 'user\\u{202e}gpj.exe\\u{2066}'],
    ['a\u200bb\ufeffc\u00add\u3164', 'a\\u{200b}b\\u{feff}c\\xadd\\u{3164}'],
    ['x\u2028y\u2029', 'x\\u{2028}y\\u{2029}'],
    ['\ud800half\udc00', '\\u{d800}half\\u{dc00}'],
    ['\u{e0041}\u{e000}\ufffe', '\\u{e0041}\\u{e000}\\u{fffe}'],
  ])('shows %j', (text, shown) => {
    expect(printable(text)).toBe(shown);
  });

  it('leaves nothing that acts, for every code point', () => {
    const acts = /[\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/u;
    for (let code = 0; code <= 0x10ffff; code += code < 0x3000 ? 1 : 7) {
      const shown = printable(String.fromCodePoint(code));
      if (acts.test(shown)) throw new Error(`U+${code.toString(16)} passes`);
    }
  });

  it('is quick on a megabyte of controls', () => {
    const started = performance.now();
    expect(printable('\x1b'.repeat(1 << 20))).toHaveLength(4 << 20);
    expect(performance.now() - started).toBeLessThan(5000);
  });
});

describe('cut', () => {
  it.each([
    ['abcdef', 6, 'abcdef'],
    ['abcdef', 5, 'abcd…'],
    ['abcdef', 1, '…'],
    ['abcdef', 0, ''],
    ['abcdef', -3, ''],
    ['', 5, ''],
    ['値値値', 6, '値値値'],
    ['値値値', 5, '値値…'],
    ['値値値', 4, '値…'],
    ['e\u0301e\u0301e\u0301', 3, 'e\u0301e\u0301e\u0301'],
    ['e\u0301e\u0301e\u0301', 2, 'e\u0301…'],
    ['🚀🚀', 3, '🚀…'],
  ])('cuts %j to %i columns', (text, columns, expected) => {
    expect(cut(text, columns)).toBe(expected);
    expect(displayWidth(cut(text, columns))).toBeLessThanOrEqual(Math.max(columns, 0));
  });

  it('does work bounded by the columns', () => {
    const marks = `a${'\u0301'.repeat(1 << 20)}`;
    expect(cut(marks, 20).length).toBeLessThan(100);
    const started = performance.now();
    for (let round = 0; round < 1000; round += 1) cut('値'.repeat(100_000), 80);
    expect(performance.now() - started).toBeLessThan(5000);
  });
});
