import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';

describe.each(['test/bench/run.mjs', 'src/bootstrap/quickstart.mjs'])('%s', (program) => {
  const run = (...args: string[]) =>
    spawnSync(process.execPath, [program, ...args], { encoding: 'utf8', timeout: 30_000 });

  it('--help prints its usage, does nothing, and is no error', { timeout: 30_000 }, () => {
    const { status, stdout, stderr } = run('--help');
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toMatch(/^usage: npm run /);
  });

  it('an unknown flag is exit 64 with the usage, without a stack', { timeout: 30_000 }, () => {
    const { status, stdout, stderr } = run('--zork');
    expect({ status, stdout }).toEqual({ status: 64, stdout: '' });
    expect(stderr).toContain("Unknown option '--zork'");
    expect(stderr).toContain('usage: npm run ');
    expect(stderr).not.toMatch(/^\s+at |node:internal/m);
  });
});

it('the benchmark refuses numbers that are none', { timeout: 60_000 }, () => {
  for (const args of [
    ['--hosts', 'x'],
    ['--hosts', '0'],
    ['--rounds', '0'],
    ['--rounds', '1.5'],
  ]) {
    const { status, stderr } = spawnSync(process.execPath, ['test/bench/run.mjs', ...args], {
      encoding: 'utf8',
    });
    expect(status, args.join(' ')).toBe(64);
    expect(stderr).toContain(`${args[0]} must be a number`);
  }
});
