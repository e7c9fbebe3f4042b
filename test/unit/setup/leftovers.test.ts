import { spawnSync } from 'node:child_process';
import { afterEach, expect, test } from 'vitest';
import { Leftovers } from '../../setup/leftovers.mjs';

let leftovers: Leftovers;
afterEach(() => {
  leftovers.endProcesses();
  leftovers.close();
});

const start = (argv: readonly string[]) => {
  const [program, ...args] = leftovers.command(argv);
  const { status } = spawnSync(program, args, {
    stdio: 'ignore',
    env: { ...process.env, ...leftovers.environment },
  });
  expect(status).toBe(0);
};
const commands = (): string[] =>
  leftovers.processes().map(({ text }: { text: string }) => text.replace(/^process \d+: /, ''));

test('a process that left its parent and its session is found and ended', async () => {
  leftovers = new Leftovers();
  expect(commands()).toEqual([]);
  start(['setsid', '--fork', 'sleep', '61.25']);
  await expect.poll(commands, { timeout: 10_000 }).toEqual(['sleep 61.25']);
  leftovers.endProcesses();
  await expect.poll(commands, { timeout: 10_000 }).toEqual([]);
});

test('what ended is not left, nor is what others run', () => {
  leftovers = new Leftovers();
  start(['true']);
  expect(commands()).toEqual([]);
  expect(leftovers.things()).toEqual([]);
});
