import { existsSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { command } from '../../../../src/resources/command/index.ts';
import type { Command } from '../../../../src/resources/command/schema.ts';
import type { Input } from '../../../../src/resources/kind.ts';
import { debianFacts } from '../facts.ts';
import { changeLines, runProbe, runStep } from '../shell.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "blkfleet it's $HOME "));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const context = { facts: debianFacts() };
const input = (desired: Command): Input<unknown> => ({ desired: command.schema.parse(desired), assets: {} });

function plan(desired: Command) {
  const declared = input(desired);
  return command.plan(declared, command.parse(runProbe(command, [declared])[0]!, declared), context);
}

function apply(desired: Command) {
  const declared = input(desired);
  const [step, ...more] = command.steps(
    declared,
    command.parse(runProbe(command, [declared])[0]!, declared),
    context,
  );
  expect(more).toEqual([]);
  return runStep(step!);
}

describe('schema', () => {
  it.each([
    { argv: 'rm -rf /' },
    { argv: [] },
    { argv: [''] },
    { argv: ['a\0b'] },
    { argv: ['sleep', 5] },
    { argv: ['true'], creates: 'relative' },
    { argv: ['true'], unless: [] },
    { argv: ['true'], chdir: 'x' },
    { argv: ['true'], environment: { 'A B': 'c' } },
    { argv: ['true'], timeout: 0 },
    { argv: ['true'], shell: true },
    {},
  ])('refuses %j', (value) => {
    expect(command.schema.safeParse(value).success).toBe(false);
  });
});

describe('plan from a real probe', () => {
  it('says that the effect is not predictable, and what would run', () => {
    const verdict = plan({ argv: ['/bin/echo', "it's", '$HOME', 'plain'] });
    expect(verdict).toMatchObject({ status: 'change', unpredictable: true });
    expect(changeLines(verdict)).toEqual([`run: null → /bin/echo 'it'\\''s' '$HOME' plain`]);
  });

  it('has nothing to do where creates exists, be it a dangling link', async () => {
    const made = join(folder, 'made');
    expect(plan({ argv: ['true'], creates: made }).status).toBe('change');
    await symlink('nowhere', made);
    expect(plan({ argv: ['true'], creates: made })).toMatchObject({ status: 'ok', reason: `${made} exists` });
  });

  it.each([
    [['true'], 'ok', 0],
    [['false'], 'change', 0],
    [['/no/such/program'], 'change', 1],
    [['/etc/passwd'], 'change', 1],
  ])('with unless %j answers %s', (unless, status, warnings) => {
    const verdict = plan({ argv: ['true'], unless });
    expect(verdict.status).toBe(status);
    expect('warnings' in verdict ? (verdict.warnings?.length ?? 0) : 0).toBe(warnings);
  });

  it('does not run unless where creates has decided', async () => {
    const made = join(folder, 'made');
    const trace = join(folder, 'trace');
    await writeFile(made, '');
    expect(plan({ argv: ['true'], creates: made, unless: ['touch', trace] }).status).toBe('ok');
    expect(existsSync(trace)).toBe(false);
  });

  it('gives unless its folder and environment, and not the nonce of the frames', () => {
    const script = `[ "$PWD" = "$WHERE" ] && [ -z "\${BF_NONCE-}" ] && ! read -r line`;
    const desired = {
      argv: ['true'],
      chdir: folder,
      environment: { WHERE: folder },
      unless: ['sh', '-c', script],
    };
    expect(plan(desired).status).toBe('ok');
    expect(plan({ ...desired, chdir: '/no/such' })).toMatchObject({
      status: 'change',
      warnings: [expect.anything()],
    });
  });

  it('keeps what unless prints out of the answer', () => {
    expect(
      plan({ argv: ['true'], unless: ['sh', '-c', 'echo unless 0; echo created 1; exit 3'] }).status,
    ).toBe('change');
  });

  it('answers several declarations in one script', () => {
    const inputs = [
      { argv: ['a'], unless: ['true'] },
      { argv: ['b'] },
      { argv: ['c'], unless: ['false'] },
    ].map(input);
    const answers = runProbe(command, inputs).map((body, index) => command.parse(body, inputs[index]!));
    expect(answers).toEqual([
      { created: null, unless: 0 },
      { created: null, unless: null },
      { created: null, unless: 1 },
    ]);
  });
});

describe('parse', () => {
  it.each(['', 'unless x', 'unless 9999', 'UNLESS 0', 'unless 1'.padEnd(5000, ' ')])('refuses %j', (text) => {
    const declared = input({ argv: ['a'], unless: ['b'] });
    expect(() => command.parse(Buffer.from(text), declared)).toThrow(
      expect.objectContaining({ code: 'E_PROBE' }),
    );
  });
});

describe('steps in a real sh', () => {
  it('hands on every argument as it is', () => {
    const words = ["'", '"', '$(id)', '`id`', '*', 'a\nb', '-n', '', '日本', '\\', '~'];
    const file = join(folder, 'out');
    const argv = ['sh', '-c', 'f=$1; shift; printf "%s\\0" "$@" > "$f"', 'sh', file, ...words];
    expect(apply({ argv })).toMatchObject({ status: 0 });
    expect(readFileSync(file, 'utf8').split('\0').slice(0, -1)).toEqual(words);
  });

  it('fails with the status of the program', () => {
    expect(apply({ argv: ['sh', '-c', 'echo why; exit 7'] })).toMatchObject({
      status: 7,
      output: expect.stringContaining('why'),
    });
    expect(apply({ argv: ['/no/such/program'] }).status).toBe(127);
  });

  it('fails where creates is still missing after', () => {
    expect(apply({ argv: ['true'], creates: join(folder, 'never') }).status).toBe(1);
    expect(apply({ argv: ['touch', join(folder, 'made')], creates: join(folder, 'made') }).status).toBe(0);
  });

  it('fails where unless still does not hold after', () => {
    expect(apply({ argv: ['true'], unless: ['false'] }).status).toBe(1);
    const made = join(folder, 'made');
    expect(apply({ argv: ['touch', made], unless: ['test', '-e', made] }).status).toBe(0);
  });

  it('does nothing the second time where creates says so', async () => {
    const made = join(folder, 'made');
    const declared = input({ argv: ['sh', '-c', 'echo x >> "$0"', made], creates: made });
    const [step] = command.steps(declared, { created: false, unless: null }, context);
    runStep(step!);
    expect(runStep(step!).status).toBe(0);
    expect(readFileSync(made, 'utf8')).toBe('x\n');
  });

  it('is ended when it takes longer than its timeout', () => {
    const started = Date.now();
    expect(apply({ argv: ['sleep', '60'], timeout: 1 })).toMatchObject({ status: 124 });
    expect(Date.now() - started).toBeLessThan(20_000);
  });

  it('runs where chdir says', async () => {
    await mkdir(join(folder, 'sub'));
    expect(apply({ argv: ['touch', 'here'], chdir: join(folder, 'sub') }).status).toBe(0);
    expect(existsSync(join(folder, 'sub/here'))).toBe(true);
    expect(apply({ argv: ['true'], chdir: join(folder, 'missing') }).status).not.toBe(0);
  });
});
