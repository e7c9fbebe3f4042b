import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { shellQuote, shellWords } from '../../../src/lib/shell.ts';
import { command } from '../../../src/resources/command/index.ts';
import { file } from '../../../src/resources/file/index.ts';
import type { Input, ResourceKind } from '../../../src/resources/kind.ts';
import { runProbe, runStep } from '../resources/shell.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'blkfleet-shell-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** The same numbers each time: a word that breaks something is found again. */
function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

// What a shell, printf, echo, test or a here-document could take for something else.
const pieces = [
  ...[
    "'",
    "''",
    "'\\''",
    '"',
    '`id`',
    '$(id)',
    '$IFS',
    '$HOME',
    '$1',
    '\\',
    '\\\\',
    '\\n',
    '\\c',
    '\n',
    '\r',
    '\t',
  ],
  ...[
    ' ',
    '  ',
    '*',
    '?',
    '[a-z]',
    '~',
    '#',
    ';',
    '&',
    '|',
    '<',
    '>',
    '(',
    ')',
    '{a,b}',
    '!',
    '=',
    '%s',
    '%n',
    '-n',
    '--',
  ],
  ...[
    '-e',
    'BF_END',
    '\nBF_END\n',
    'FILE_END',
    '\x01',
    '\x1b[2J',
    '\x1e',
    '\x7f',
    'ä',
    '😀',
    '\u202e',
    '{{ x }}',
    'x',
    'done',
    '..',
  ],
];

function words(seed: number, count: number, pick: (word: string) => boolean = () => true): string[] {
  const next = random(seed);
  const found: string[] = [];
  while (found.length < count) {
    let word = '';
    for (let left = 1 + next(6); left > 0; left--) word += pieces[next(pieces.length)];
    if (pick(word)) found.push(word);
  }
  return found;
}

/** Words that can be the name of a file. */
const names = (seed: number, count: number) =>
  words(seed, count, (word) => !word.includes('/') && word !== '.' && word !== '..');

const split = (text: string) => text.split('\0').slice(0, -1);

function inputOf<D>(kind: ResourceKind<D, unknown>, desired: object): Input<D> {
  return { desired: kind.schema.parse(desired), assets: {} };
}

describe('every value reaches sh as it is', () => {
  it.each(['dash', 'bash', 'sh'])('quoted words, %s', (shell) => {
    const given = ['', ...words(1, 500)];
    const { stdout } = spawnSync(shell, ['-s'], {
      input: `printf '%s\\0' ${shellWords(given)}\nprintf '%s\\0' "a"${shellQuote("'")}b`,
      encoding: 'utf8',
    });
    expect(split(stdout)).toEqual([...given, "a'b"]);
  });

  it('NUL reaches no shell at all', () => {
    expect(() => shellQuote('a\0b')).toThrow(RangeError);
    expect(command.schema.safeParse({ argv: ['a\0b'] }).success).toBe(false);
    expect(file.schema.safeParse({ path: '/a\0b', state: 'directory' }).success).toBe(false);
  });

  it('argv, environment, chdir and creates of a command', () => {
    const given = words(2, 40);
    const [inside = '', made = ''] = names(3, 2);
    const chdir = join(folder, inside);
    mkdirSync(chdir);
    const creates = join(folder, `${made} made`);
    const script = 'out=$1; shift; { pwd | tr "\\n" "\\0"; printf "%s\\0" "$VALUE" "$@"; } > "$out"';
    const value = given.join('');
    const argv = ['sh', '-c', script, 'sh', creates, ...given];
    const input = inputOf(command, { argv, creates, chdir, environment: { VALUE: value } });
    const current = () => command.parse(runProbe(command, [input])[0]!, input);
    const context = { facts: {} as never };
    expect(command.plan(input, current(), context).status).toBe('change');
    for (const step of command.steps(input, current(), context))
      expect(runStep(step)).toMatchObject({ status: 0 });
    const printed = split(readFileSync(creates, 'utf8'));
    expect(printed.slice(-given.length - 1)).toEqual([value, ...given]);
    expect(printed.slice(0, -given.length - 1).join('\n')).toBe(chdir);
    expect(command.plan(input, current(), context).status).toBe('ok');
  });

  it('paths and targets of files', { timeout: 30_000 }, () => {
    const targets = words(5, 12, (word) => word !== '');
    const inputs = names(4, 12).map((name, i) =>
      inputOf(file, { path: join(folder, `${i} ${name}`), state: 'link', target: targets[i] }),
    );
    const context = { facts: {} as never };
    const plans = () =>
      runProbe(file, inputs).map((body, i) => {
        const current = file.parse(body, inputs[i]!);
        return { plan: file.plan(inputs[i]!, current, context), current };
      });
    for (const [i, { plan, current }] of plans().entries()) {
      expect(plan.status).toBe('change');
      for (const step of file.steps(inputs[i]!, current, context))
        expect(runStep(step), JSON.stringify(inputs[i]!.desired)).toMatchObject({ status: 0 });
    }
    expect(readdirSync(folder)).toHaveLength(inputs.length);
    for (const [i, { desired }] of inputs.entries())
      expect(readlinkSync((desired as { path: string }).path)).toBe(targets[i]);
    expect(plans().map(({ plan }) => plan.status)).toEqual(inputs.map(() => 'ok'));
    expect(existsSync(join(folder, 'id'))).toBe(false);
  });
});
