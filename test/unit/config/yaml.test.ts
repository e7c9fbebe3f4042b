import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { parseYaml, readYaml } from '../../../src/config/yaml.ts';
import { FleetError } from '../../../src/lib/errors.ts';

const folder = mkdtempSync(join(tmpdir(), 'blkfleet-yaml-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function file(name: string, content: string | Buffer): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

/** `CODE line:col` of each finding. */
function findings(error: unknown): string[] {
  if (!(error instanceof FleetError)) throw error;
  return error.diagnostics.map(({ code, at }) => `${code} ${at ? `${at.line}:${at.col}` : '-'}`);
}

const parseFindings = (text: string) => {
  try {
    parseYaml('x.yaml', text);
  } catch (error) {
    return findings(error);
  }
  return [];
};

const readFindings = (path: string) => readYaml(path).then(() => [], findings);

describe('values', () => {
  it('are those of YAML 1.2: no yes, no octal, no dates', () => {
    const { value } = parseYaml('x', 'a: yes\nb: 0644\nc: 2026-01-02\nd: 1.0\ne: ~\nf: 0x10\ng: 1:30\n');
    expect(value).toEqual({ a: 'yes', b: 644, c: '2026-01-02', d: 1, e: null, f: 16, g: '1:30' });
  });

  it('an alias and its anchor are one object', () => {
    const { value } = parseYaml('x', 'a: &a { b: 1 }\nc: *a\n');
    expect((value as Record<string, unknown>).c).toBe((value as Record<string, unknown>).a);
  });

  it('a byte order mark and CRLF do not shift positions', async () => {
    const yaml = await readYaml(file('bom.yaml', '\ufeffa:\r\n  b: 1\r\n'));
    expect(yaml.value).toEqual({ a: { b: 1 } });
    expect(yaml.positionOf(['a', 'b'])).toMatchObject({ line: 2, col: 6 });
    expect(yaml.excerpt(2)).toBe('  b: 1');
  });
});

describe('positions', () => {
  const text = 'a:\n  - x: "v {{ t }}"\n    y: |\n      one\n        two {{ t }}\nb: &b { c: 1 }\nd: *b\n';
  const yaml = parseYaml('x.yaml', text);
  it.for<[(string | number)[], 'key' | 'value', number, number]>([
    [['a'], 'key', 1, 1],
    [['a', 0], 'value', 2, 5],
    [['a', 0, 'x'], 'key', 2, 5],
    [['a', 0, 'x'], 'value', 2, 8],
    [['a', 0, 'missing'], 'value', 2, 5],
    [['d', 'c'], 'value', 6, 12],
  ])('%j by its %s is %i:%i', ([path, part, line, col]) => {
    expect(yaml.positionOf(path, part)).toEqual({ file: 'x.yaml', line, col });
  });
  it('inside of a quoted and of a literal string', () => {
    expect(yaml.positionInside(['a', 0, 'x'], 2)).toMatchObject({ line: 2, col: 11 });
    expect(yaml.positionInside(['a', 0, 'y'], 'one\n  two '.length)).toMatchObject({ line: 5, col: 13 });
  });
  it('what was written stays known', () => {
    expect(parseYaml('x', 'mode: 0644').written(['mode'])).toBe('0644');
  });
});

describe('refused', () => {
  it.for<[string, string, string[]]>([
    ['a tab as indentation', 'a:\n\tb: 1\n', ['E_YAML 2:1']],
    ['a duplicate key', 'a: 1\nb: 2\n\n# c\na: 3\n', ['E_YAML 5:1']],
    ['a duplicate key in braces', 'a: { b: 1, b: 2 }\n', ['E_YAML 1:12']],
    ['a merge key', 'a: &a { b: 1 }\nc: { <<: *a }\n', ['E_YAML 2:6']],
    ['__proto__', 'a: { __proto__: { b: 1 } }\n', ['E_YAML 1:6']],
    ['constructor', 'constructor: 1\n', ['E_YAML 1:1']],
    ['a number as key', 'a: { 1: x }\n', ['E_YAML 1:6']],
    ['a map as key', '{ { a: 1 }: 2 }\n', ['E_YAML 1:3']],
    ['a tag', 'a: !!binary aGk=\n', ['E_YAML 1:4']],
    ['an anchor that there is not', 'a: *none\n', ['E_YAML 1:4']],
    ['an anchor in itself', 'a: &a [*a]\n', ['E_YAML 1:7']],
    ['a second document', 'a: 1\n---\nb: 2\n', ['E_YAML 2:1']],
    ['YAML 1.1', '%YAML 1.1\n---\na: yes\n', ['E_YAML 1:1']],
    ['nothing', '# only a comment\n', ['E_YAML 1:1']],
    ['a control character', 'a: "\u0007"\n', ['E_YAML 1:5']],
    ['an escaped NUL', 'a: "x\\0y"\n', ['E_YAML 1:4']],
    ['several at once', 'a: 1\na: 2\n__proto__: 3\nb: 1\nb: 2\n', ['E_YAML 2:1', 'E_YAML 3:1', 'E_YAML 5:1']],
  ])('%s', ([, text, expected]) => {
    expect(parseFindings(text)).toEqual(expected);
  });

  it('nesting in brackets, in lines and through aliases', () => {
    expect(parseFindings(`a: ${'['.repeat(70)}${']'.repeat(70)}`)).toHaveLength(1);
    expect(parseFindings(`a: ${'['.repeat(10_000)}${']'.repeat(10_000)}`)).toEqual(['E_YAML 1:68']);
    const lines = Array.from({ length: 80 }, (_, i) => `${' '.repeat(i)}a:\n`).join('');
    expect(parseFindings(lines)).toHaveLength(1);
    const chain = Array.from({ length: 100 }, (_, i) => `a${i}: &a${i} [${i ? `*a${i - 1}` : ''}]\n`);
    expect(parseFindings(chain.join('')).length).toBeGreaterThan(0);
  });

  it('an alias bomb, without being blown up', () => {
    const levels = Array.from({ length: 30 }, (_, i) =>
      i === 0
        ? 'a0: &a0 [x, x]\n'
        : `a${i}: &a${i} [${Array(10)
            .fill(`*a${i - 1}`)
            .join(', ')}]\n`,
    );
    const before = process.memoryUsage().rss;
    expect(parseFindings(levels.join(''))).toEqual(['E_YAML 1:1']);
    expect(process.memoryUsage().rss - before).toBeLessThan(200 * 1024 * 1024);
  });
});

describe('files', () => {
  it('a file that is not there hints at one that is', async () => {
    file('inventory.yaml', 'a: 1');
    const error = await readYaml(join(folder, 'inventry.yaml')).catch((e) => e);
    expect(error).toMatchObject({ code: 'E_FILE', hint: 'did you mean "inventory.yaml"?' });
  });
  it('a folder, a FIFO, a device and more than 1 MiB are refused at once', async () => {
    execFileSync('mkfifo', [join(folder, 'fifo')]);
    expect(await readFindings(folder)).toEqual(['E_FILE -']);
    expect(await readFindings(join(folder, 'fifo'))).toEqual(['E_FILE -']);
    expect(await readFindings('/dev/zero')).toEqual(['E_FILE -']);
    expect(await readFindings(file('big.yaml', Buffer.alloc(1024 * 1024 + 1, '#')))).toEqual(['E_FILE -']);
  });
  it('bytes that are no UTF-8 have their place', async () => {
    expect(await readFindings(file('latin1', Buffer.from('a: 1\nb: M\xfcnchen\n', 'latin1')))).toEqual([
      'E_YAML 2:5',
    ]);
    expect(await readFindings(file('utf16', Buffer.from('\ufeffa: 1\n', 'utf16le')))).toEqual(['E_YAML 1:1']);
  });
});

it('files with a fault at every character are refused', { timeout: 20_000 }, () => {
  for (const text of ['&a '.repeat(40_000), '!a '.repeat(40_000), `[${','.repeat(40_000)}]`])
    expect(parseFindings(text)).toHaveLength(20);
  expect(parseFindings('#\n'.repeat(250_000))).toEqual(['E_YAML 200001:1']);
});

it('many keys in one map cost little, and one that stands twice is found', { timeout: 20_000 }, () => {
  const lines = Array.from({ length: 20_000 }, (_, index) => `k${index}: 1`);
  expect(parseFindings(lines.join('\n'))).toEqual([]);
  expect(parseFindings([...lines, '"k7": 2'].join('\n'))).toEqual(['E_YAML 20001:1']);
});
