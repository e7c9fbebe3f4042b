import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { isAlive } from '../../setup/process-state.mjs';

test('a process that ended is not alive, also before its parent has noticed', async () => {
  // The shell is replaced by a program that never waits for the child which it has by then.
  const parent = spawn('sh', ['-c', 'sleep 0.3 & echo $!; exec sleep 60'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  try {
    const pid = Number(
      await new Promise<string>((resolve) => parent.stdout.once('data', (data) => resolve(`${data}`))),
    );
    await expect.poll(() => readFileSync(`/proc/${pid}/stat`, 'utf8'), { timeout: 30_000 }).toContain(') Z ');
    expect(isAlive(pid)).toBe(false);
    expect(isAlive(parent.pid!)).toBe(true);
  } finally {
    parent.kill('SIGKILL');
  }
  await new Promise((resolve) => parent.once('close', resolve));
  expect(isAlive(parent.pid!)).toBe(false);
});
