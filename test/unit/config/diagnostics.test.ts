import { expect, it } from 'vitest';
import { formatDiagnostics } from '../../../src/config/diagnostics.ts';
import type { Diagnostic } from '../../../src/lib/errors.ts';
import { displayWidth } from '../../../src/lib/terminal.ts';

const at = { file: 'site.yaml', line: 12, col: 5 };
const finding: Diagnostic = {
  code: 'E_SCHEMA',
  message: 'wrong',
  hint: 'write it right',
  at,
  excerpt: '    x: 1',
};
const lines = (diagnostic: Diagnostic, columns?: number) =>
  formatDiagnostics([diagnostic], { color: false, ...(columns && { columns }) }).split('\n');

it('place, code and message, the line with a caret below the column, the hint', () => {
  const [head, source, caret, hint] = lines(finding);
  expect(head).toBe('site.yaml:12:5 error[E_SCHEMA] wrong');
  expect(source).toBe('  12 |     x: 1');
  expect(caret!.indexOf('^')).toBe(source!.indexOf('x'));
  expect(hint).toContain('write it right');
});

it('host and task stand in the head', () => {
  expect(lines({ ...finding, host: 'hv01', task: 'motd' })[0]).toContain('host hv01: task "motd": wrong');
});

it('the caret stays below its character behind tabs and wide characters', () => {
  const [, source, caret] = lines({ ...finding, at: { ...at, col: 5 }, excerpt: '\t漢字 x' });
  const before = source!.slice(0, source!.indexOf('x'));
  expect(displayWidth(caret!.slice(0, caret!.indexOf('^')))).toBe(displayWidth(before));
});

it.for([20, 40, 80, 200])('a long line is cut around its caret at %i columns', (columns) => {
  const excerpt = `${'a'.repeat(5000)}X${'b'.repeat(5000)}`;
  const [, source, caret] = lines({ ...finding, at: { ...at, col: 5001 }, excerpt }, columns);
  expect(source![caret!.indexOf('^')]).toBe('X');
  expect(displayWidth(source!)).toBeLessThanOrEqual(Math.max(columns, 28));
});

it('nothing of a file reaches the terminal raw', () => {
  const hostile = '\u001b[2J\u0007\u202e\u009b1m';
  const text = formatDiagnostics(
    [{ ...finding, message: hostile, hint: hostile, excerpt: hostile, host: hostile, task: hostile }],
    { color: false },
  );
  expect(text).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]/);
});

it('colour only where it is asked for', () => {
  expect(formatDiagnostics([finding], { color: true })).toContain('\u001b[');
  expect(formatDiagnostics([finding], { color: false })).not.toContain('\u001b');
  expect(formatDiagnostics([finding], { color: false, level: 'warning' })).toContain(
    'site.yaml:12:5 warning',
  );
});
