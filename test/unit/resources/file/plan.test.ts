import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { FleetError } from '../../../../src/lib/errors.ts';
import { lineDiff } from '../../../../src/lib/line-diff.ts';
import { firstDifference } from '../../../../src/lib/unified-diff.ts';
import { planFile } from '../../../../src/resources/file/plan.ts';
import { parseFile } from '../../../../src/resources/file/probe.ts';
import { fileSchema } from '../../../../src/resources/file/schema.ts';

const folder = join(import.meta.dirname, '../../../fixtures/file');
const input = (declare: unknown) => ({ desired: fileSchema.parse(declare), assets: {} });

describe('plans from recorded answers', () => {
  for (const name of readdirSync(folder)) {
    it(name.replace('.json', ''), () => {
      const { declare, answer, expect: wanted } = JSON.parse(readFileSync(join(folder, name), 'utf8'));
      const plan = planFile(input(declare), parseFile(Buffer.from(answer), input(declare)));
      expect(plan.status).toBe(wanted.status);
      if (plan.status === 'blocked') expect(plan.code).toBe(wanted.code);
      if (plan.status !== 'change') return;
      expect(plan.warnings?.length ?? 0).toBe(wanted.warnings ?? 0);
      expect(plan.changes.map(({ diff, ...change }) => change)).toEqual(wanted.changes);
      const lines = plan.changes[0]!.diff?.split('\n') ?? [];
      for (const line of wanted.diff ?? []) expect(lines).toContain(line);
      expect(plan.changes[0]!.diff ?? '').not.toMatch(/[^\n\P{C}]/u);
    });
  }
});

describe('parseFile', () => {
  const one = input({ path: '/etc/x', content: 'a\n' });
  it.each([
    ['nothing', ''],
    ['a race', 'raced\n'],
    ['a stat that makes no sense', 'stat zz 0 0 root root 1 1\n'],
    [
      'content that is not what was hashed',
      `stat 81a4 0 0 root root 1 1\nsha256 ${'0'.repeat(64)}\ncontent\nb`,
    ],
    ['a link without a target', 'stat a1ff 0 0 root root 1 1\n'],
  ])('refuses %s', (_what, answer) => {
    expect(() => parseFile(Buffer.from(answer), one)).toThrow(FleetError);
  });
});

describe('fileSchema', () => {
  const message = (declare: unknown) => fileSchema.safeParse(declare).error?.issues[0]?.message;
  it('says to quote a mode that is a number', () => {
    expect(message({ path: '/x', content: '', mode: 644 })).toContain('quote it: "0644"');
  });
  it.each([
    [{ path: 'x', content: '' }],
    [{ path: '/a/../b', content: '' }],
    [{ path: '/a/', content: '' }],
    [{ path: '/a' }],
    [{ path: '/a', content: '', src: 'b' }],
    [{ path: '/a', state: 'link' }],
    [{ path: '/a', state: 'directory', content: 'x' }],
    [{ path: '/a', content: '', recurse: true }],
    [{ path: '/a', content: '', mode: '999' }],
    [{ path: '/a', content: '', owner: '-R' }],
    [{ path: '/a', content: '', unknown: 1 }],
  ])('refuses %j', (declare) => {
    expect(fileSchema.safeParse(declare).success).toBe(false);
  });
});

describe('lineDiff', () => {
  it('names the line that differs, in a large file with one change', () => {
    const lines = Array.from({ length: 5000 }, (_, i) => `line ${i + 1}`);
    const from = Buffer.from(`${lines.join('\n')}\n`);
    lines[3210] = 'changed by hand';
    const diff = lineDiff('/etc/x', from, Buffer.from(`${lines.join('\n')}\n`))!;
    expect(firstDifference(diff)).toEqual({ line: 3211, from: 'line 3211', to: 'changed by hand' });
  });
  it('is quick and still names the line where nothing is common', () => {
    const text = (word: string) =>
      Buffer.from(`same\n${Array.from({ length: 40_000 }, (_, i) => `${word}${i}`).join('\n')}\n`);
    const start = performance.now();
    const diff = lineDiff('/etc/x', text('a'), text('b'))!;
    expect(performance.now() - start).toBeLessThan(2000);
    expect(firstDifference(diff)).toEqual({ line: 2, from: 'a0', to: 'b0' });
    expect(diff.split('\n').length).toBeLessThan(210);
  });
  it('shows a missing newline at the end', () => {
    expect(lineDiff('/x', Buffer.from('a'), Buffer.from('a\n'))).toContain('No newline');
  });
});
