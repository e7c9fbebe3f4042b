import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { file } from '../../../../src/resources/file/index.ts';
import type { FileState } from '../../../../src/resources/file/probe.ts';
import { fileSchema } from '../../../../src/resources/file/schema.ts';
import type { Input } from '../../../../src/resources/kind.ts';
import { debianFacts } from '../facts.ts';
import { runProbe } from '../shell.ts';

const base = mkdtempSync(join(tmpdir(), 'blkfleet-file-'));
chmodSync(base, 0o755);
const payloads = mkdtempSync(join(tmpdir(), 'blkfleet-payload-'));
let folder: string;
let count = 0;
const context = { facts: debianFacts() };
const asRoot = process.getuid?.() === 0;

beforeEach(() => {
  folder = join(base, String(count++));
  mkdirSync(folder);
});
afterAll(() => {
  rmSync(base, { recursive: true, force: true });
  rmSync(payloads, { recursive: true, force: true });
});

const declare = (text: Record<string, unknown>): Input<unknown> => ({
  desired: fileSchema.parse(text),
  assets: {},
});
const probe = (...inputs: Input<unknown>[]) =>
  runProbe(file, inputs).map((body, index) => file.parse(body, inputs[index]!) as Record<string, unknown>);
const plan = (input: Input<unknown>) => file.plan(input, probe(input)[0], context);

/** Guard and script of one step as the job runs them; returns the exit status and what was printed. */
function run(
  input: Input<unknown>,
  current: unknown,
): { status: number | null; output: string; guard?: boolean } {
  const [step] = file.steps(input, current, context);
  for (const { sha256, bytes } of step!.payloads ?? []) writeFileSync(join(payloads, sha256), bytes);
  for (const [guard, script] of [
    [true, step!.guard!],
    [false, step!.script],
  ] as const) {
    const result = spawnSync('/bin/sh', ['-eu', '-c', `umask 077\n${script}`], {
      env: {
        PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
        LC_ALL: 'C',
        BF_PAYLOAD: payloads,
      },
      cwd: '/',
    });
    if (result.status !== 0) return { status: result.status, output: result.stderr.toString(), guard };
  }
  return { status: 0, output: '' };
}

/** Plans, applies, and checks that nothing is left to do and nothing lies about. */
function converge(input: Input<unknown>): void {
  const current = probe(input)[0];
  expect(file.plan(input, current, context).status).toBe('change');
  expect(run(input, current)).toMatchObject({ status: 0 });
  expect(plan(input).status).toBe('ok');
  // A second time, from the same plan: safe, and nothing changes.
  expect(run(input, current)).toMatchObject({ status: 0 });
  expect(plan(input).status).toBe('ok');
  expect(
    readdirSync(folder, { recursive: true }).filter((name) => String(name).includes('.blkfleet-')),
  ).toEqual([]);
}

describe('file', () => {
  it('is made, then left alone', () => {
    const path = join(folder, 'x.conf');
    converge(declare({ path, content: 'a\nb\n', mode: '0640' }));
    expect(readFileSync(path, 'utf8')).toBe('a\nb\n');
    expect(statSync(path).mode & 0o7777).toBe(0o640);
  });
  it('gets 0644 whatever the umask is', () => {
    const path = join(folder, 'x');
    converge(declare({ path, content: '' }));
    expect(statSync(path).mode & 0o7777).toBe(0o644);
  });
  it('is mended: content, keeping mode and owner that are not declared', () => {
    const path = join(folder, 'x');
    writeFileSync(path, 'old\n', { mode: 0o604 });
    if (asRoot) lchownSync(path, 5001, 5002);
    const before = statSync(path);
    converge(declare({ path, content: 'new\n' }));
    const after = statSync(path);
    expect([after.mode, after.uid, after.gid]).toEqual([before.mode, before.uid, before.gid]);
  });
  it('shows the lines that differ, with what stands there now', () => {
    const path = join(folder, 'x');
    writeFileSync(path, 'one\ntwo\nthree\n');
    const answer = plan(declare({ path, content: 'one\n2\nthree\n' }));
    expect(answer).toMatchObject({ status: 'change', changes: [{ path: `${path} content`, action: '~' }] });
    expect(answer.status === 'change' && answer.changes[0]!.diff).toContain('\n-two\n+2\n');
  });
  it('with diff: false lets no line of it out: not of what is there, nor of what is declared', () => {
    const path = join(folder, 'x');
    const input = declare({ path, content: 'password=canary-new\n', diff: false });
    expect(JSON.stringify(plan(input))).not.toContain('canary');
    writeFileSync(path, 'password=canary-old\n');
    const [answer] = runProbe(file, [input]);
    expect(answer!.toString()).not.toContain('canary');
    const shown = plan(input);
    expect(shown).toMatchObject({ status: 'change', changes: [{ path: `${path} content` }] });
    expect(JSON.stringify(shown)).not.toMatch(/canary|sha256:/);
    converge(input);
  });
  it.skipIf(!asRoot)('is mended: owner, group, mode', () => {
    const path = join(folder, 'x');
    writeFileSync(path, 'a');
    lchownSync(path, 5001, 5002);
    converge(declare({ path, content: 'a', owner: 'root', group: 0, mode: '4755' }));
    expect(statSync(path).mode & 0o7777).toBe(0o4755);
  });
  it('replaces a link and leaves what it points to alone', () => {
    const path = join(folder, 'x');
    const victim = join(folder, 'victim');
    writeFileSync(victim, 'precious', { mode: 0o600 });
    symlinkSync(victim, path);
    converge(declare({ path, content: 'mine\n' }));
    expect(lstatSync(path).isFile()).toBe(true);
    expect(readFileSync(victim, 'utf8')).toBe('precious');
    expect(statSync(victim).mode & 0o777).toBe(0o600);
  });
  it('is not written where somebody changed it after the plan', () => {
    const path = join(folder, 'x');
    writeFileSync(path, 'old\n');
    const input = declare({ path, content: 'new\n' });
    const current = probe(input)[0];
    writeFileSync(path, 'third\n');
    expect(run(input, current)).toMatchObject({ status: 1, guard: true });
    expect(readFileSync(path, 'utf8')).toBe('third\n');
    rmSync(path);
    symlinkSync('/etc/passwd', path);
    expect(run(input, current)).toMatchObject({ status: 1, guard: true });
  });
  it('is not written from a damaged payload', () => {
    const path = join(folder, 'x');
    const input = declare({ path, content: 'whole\n' });
    const current = probe(input)[0];
    const [step] = file.steps(input, current, context);
    writeFileSync(join(payloads, step!.payloads![0]!.sha256), 'who');
    const result = spawnSync('/bin/sh', ['-eu', '-c', step!.script], {
      env: { ...process.env, BF_PAYLOAD: payloads },
    });
    expect(result.status).not.toBe(0);
    expect(readdirSync(folder)).toEqual([]);
  });
  it('fails clearly without its folder', () => {
    const input = declare({ path: join(folder, 'no/x'), content: 'a' });
    const current = probe(input)[0];
    expect(current).toMatchObject({ type: 'missing', folderMissing: true });
    expect(run(input, current).output).toContain('is not there: a task before this one');
  });
  it('removes what a killed run left beside it', () => {
    const path = join(folder, 'x');
    const tag = createHash('sha256').update(path).digest('hex').slice(0, 12);
    mkdirSync(join(folder, `.blkfleet-${tag}.AAAAAAAA`));
    writeFileSync(join(folder, `.blkfleet-${tag}.AAAAAAAA/new`), 'half');
    converge(declare({ path, content: 'a' }));
    expect(readdirSync(folder)).toEqual(['x']);
  });
  it('does not touch a file named new beside it, also when it fails', () => {
    writeFileSync(join(folder, 'new'), 'theirs');
    const path = join(folder, 'x');
    converge(declare({ path, content: 'a' }));
    if (asRoot) {
      const input = declare({ path: join(folder, 'y'), content: 'a', owner: 'no_such_user' });
      expect(run(input, probe(input)[0]).output).toContain('is there such a user');
    }
    expect(readFileSync(join(folder, 'new'), 'utf8')).toBe('theirs');
    expect(readdirSync(folder)).toEqual(['new', 'x']);
  });
});

describe('immutable', () => {
  let path = '';
  afterEach(() => {
    if (path) spawnSync('chattr', ['-i', path]);
  });
  it.skipIf(!asRoot)('files are named as such', (task) => {
    path = join(folder, 'x');
    writeFileSync(path, 'old');
    if (spawnSync('chattr', ['+i', path]).status !== 0) return task.skip();
    const input = declare({ path, content: 'new' });
    const result = run(input, probe(input)[0]);
    expect(result.status).not.toBe(0);
    expect(result.output).toContain('immutable');
    expect(readFileSync(path, 'utf8')).toBe('old');
    expect(readdirSync(folder)).toEqual(['x']);
  });
});

describe('folder, link, absent', () => {
  it('makes a folder, mends its mode', () => {
    const path = join(folder, 'd');
    converge(declare({ path, state: 'directory', mode: '1777' }));
    expect(statSync(path).mode & 0o7777).toBe(0o1777);
    converge(declare({ path, state: 'directory', mode: '0750' }));
    expect(statSync(path).mode & 0o7777).toBe(0o750);
  });
  it('makes a folder in place of a link, not through it', () => {
    mkdirSync(join(folder, 'real'));
    symlinkSync(join(folder, 'real'), join(folder, 'd'));
    converge(declare({ path: join(folder, 'd'), state: 'directory', mode: '0700' }));
    expect(lstatSync(join(folder, 'd')).isDirectory()).toBe(true);
    expect(readdirSync(folder).sort()).toEqual(['d', 'real']);
  });
  it('makes a link, turns one, replaces a file by one', () => {
    const path = join(folder, 'l');
    converge(declare({ path, state: 'link', target: 'nowhere' }));
    converge(declare({ path, state: 'link', target: "it's\na 'place' " }));
    expect(readlinkSync(path)).toBe("it's\na 'place' ");
    rmSync(path);
    writeFileSync(path, 'x');
    converge(declare({ path, state: 'link', target: '-x' }));
  });
  it('removes files, dangling links, empty and full folders', () => {
    const path = join(folder, 'x');
    writeFileSync(path, '');
    converge(declare({ path, state: 'absent' }));
    symlinkSync('/nowhere', path);
    converge(declare({ path, state: 'absent' }));
    mkdirSync(path);
    converge(declare({ path, state: 'absent' }));
    mkdirSync(join(path, '.hidden'), { recursive: true });
    const full = declare({ path, state: 'absent' });
    expect(file.plan(full, probe(full)[0], context).status).toBe('blocked');
    converge(declare({ path, state: 'absent', recurse: true }));
    expect(existsSync(path)).toBe(false);
  });
  it('removes a link to a folder, not the folder', () => {
    mkdirSync(join(folder, 'real'));
    writeFileSync(join(folder, 'real/keep'), '');
    symlinkSync('real', join(folder, 'l'));
    converge(declare({ path: join(folder, 'l'), state: 'absent', recurse: true }));
    expect(existsSync(join(folder, 'real/keep'))).toBe(true);
  });
});

describe('names', () => {
  const names = [
    'a b',
    "it's",
    '"q"',
    '$(touch pwned)',
    '`id`',
    '*',
    '-rf',
    'new\nline',
    'ünï→😀',
    '\\n',
    'a;b',
    ' lead',
    'end\n',
    '%s%n',
    '#c',
  ];
  it('are taken as they are, many in one probe', () => {
    const inputs = names.map((name) => declare({ path: join(folder, name), content: `${name}!` }));
    for (const [index, current] of probe(...inputs).entries()) {
      expect(current.type).toBe('missing');
      expect(run(inputs[index]!, current)).toMatchObject({ status: 0 });
    }
    expect(readdirSync(folder).sort()).toEqual([...names].sort());
    for (const [index, current] of probe(...inputs).entries()) {
      expect(file.plan(inputs[index]!, current, context).status).toBe('ok');
      expect(readFileSync(join(folder, names[index]!), 'utf8')).toBe(`${names[index]}!`);
    }
    for (const name of names) {
      const input = declare({ path: join(folder, name), state: 'absent' });
      expect(run(input, probe(input)[0])).toMatchObject({ status: 0 });
    }
    expect(readdirSync(folder)).toEqual([]);
  });
  it('keep answers and paths together when some are missing, links, folders, large', () => {
    writeFileSync(join(folder, 'b'), 'b');
    mkdirSync(join(folder, 'd'));
    symlinkSync('b', join(folder, 'e'));
    writeFileSync(join(folder, 'f\n'), 'f');
    writeFileSync(join(folder, 'g'), Buffer.alloc(300_000));
    const inputs = ['a', 'b', 'c', 'd', 'e', 'f\n', 'g'].map((name) =>
      declare({ path: join(folder, name), content: 'z' }),
    );
    const states = probe(...inputs);
    expect(states.map((s) => s.type)).toEqual([
      'missing',
      'file',
      'missing',
      'directory',
      'link',
      'file',
      'file',
    ]);
    expect(states.map((s) => (s.content as Buffer | null)?.toString() ?? null)).toEqual([
      null,
      'b',
      null,
      null,
      null,
      'f',
      null,
    ]);
    expect(states[6]!.sha256).toMatch(/^[0-9a-f]{64}$/);
    expect(states[4]!.target?.toString()).toBe('b');
  });
});

describe.skipIf(!asRoot)('planted links above', () => {
  it('of another user stop the plan and the step; ours do not', () => {
    mkdirSync(join(folder, 'real'));
    const link = join(folder, 'up');
    symlinkSync('real', link);
    const input = declare({ path: join(link, 'x'), content: 'a' });
    const trusted = probe(input)[0];
    expect(trusted!.unsafeParent).toBeNull();
    lchownSync(link, 5001, 5001);
    expect(plan(input)).toMatchObject({ status: 'blocked', code: 'E_BLOCKED' });
    expect(run(input, trusted)).toMatchObject({ status: 1, guard: false });
    expect(readdirSync(join(folder, 'real'))).toEqual([]);
  });
});

it('probes 20 files and a link with two programs', () => {
  const inputs = Array.from({ length: 20 }, (_, i) => {
    writeFileSync(join(folder, `f${i}`), 'same');
    return declare({ path: join(folder, `f${i}`), content: 'same' });
  });
  symlinkSync('f0 -> odd', join(folder, 'link'));
  inputs.push(declare({ path: join(folder, 'link'), state: 'link', target: 'f0 -> odd' }));
  const shims = join(folder, 'bin');
  mkdirSync(shims);
  const log = join(folder, 'log');
  for (const name of ['stat', 'sha256sum', 'id', 'head', 'readlink', 'cut']) {
    const real = execFileSync('sh', ['-c', `command -v ${name}`], { encoding: 'utf8' }).trim();
    writeFileSync(join(shims, name), `#!/bin/sh\necho ${name} >> ${log}\nexec ${real} "$@"\n`, {
      mode: 0o755,
    });
  }
  const bodies = runProbe(file, inputs, `${shims}:${process.env.PATH}`);
  const states = bodies.map((body, i) => file.parse(body, inputs[i]!) as FileState);
  expect(states.map(({ type }) => type)).toEqual([...Array(20).fill('file'), 'link']);
  expect(states.at(-1)!.target!.toString()).toBe('f0 -> odd');
  expect(readFileSync(log, 'utf8').trim().split('\n')).toEqual(['stat', 'sha256sum']);
});
