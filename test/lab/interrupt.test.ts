import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { cacheFolder } from '../../src/lab/debian/cache.ts';
import { labFiles } from '../../src/lab/state.ts';
import { isAlive } from '../setup/process-state.mjs';
import { blkfleet, start } from './program.ts';

const name = 'interrupt-test';
const files = labFiles(name);
const up = () => start([process.execPath, 'dist/cli.js', 'lab', 'up', '--name', name, '--json']);
const status = async () => JSON.parse((await blkfleet('lab', 'status', '--name', name, '--json')).stdout);
/** Half-made things whose maker is gone. The cache outlives the tests, and who was killed with no chance to tidy up left some. */
const partials = () =>
  ['roots', 'images'].flatMap((folder) => {
    const path = join(cacheFolder(), folder);
    const entries = existsSync(path) ? readdirSync(path) : [];
    return entries.filter((entry) => {
      const pid = /\.partial-(\d+)$/.exec(entry)?.[1];
      return pid !== undefined && !isAlive(Number(pid));
    });
  });

let before: string[];

beforeAll(async () => {
  before = partials();
  const built = await start([process.execPath, 'src/bootstrap/build.mjs']).ended;
  expect(built.status, built.text).toBe(0);
  await blkfleet('lab', 'destroy', '--name', name);
}, 120_000);

afterAll(async () => {
  await blkfleet('lab', 'destroy', '--name', name);
}, 120_000);

test('Ctrl-C while it is made or boots: exit 130, no QEMU, nothing half', async () => {
  const run = up();
  await run.says(/booting Debian 12/);
  run.child.kill('SIGINT');
  const ended = await run.ended;
  expect(ended.status, ended.text).toBe(130);
  expect((await status()).pid).toBeNull();
  expect(partials().filter((path) => !before.includes(path))).toEqual([]);
});

test('killed right after QEMU started: the next up takes that QEMU', async () => {
  const run = up();
  await run.says(/booting Debian 12/);
  await expect.poll(async () => (await status()).pid, { timeout: 60_000 }).not.toBeNull();
  run.child.kill('SIGKILL');
  await run.ended;
  const { pid } = await status();
  expect(pid).not.toBeNull();
  // Killed before the number was written down.
  const record = JSON.parse(readFileSync(files.record, 'utf8'));
  writeFileSync(files.record, JSON.stringify({ ...record, process: null }));
  const again = await up().ended;
  expect(again.status, again.text).toBe(0);
  expect(JSON.parse(again.stdout)).toMatchObject({ status: 'running', pid });
});

test('its port taken meanwhile: it boots with another, and the inventory says so', async () => {
  const { port } = await status();
  const down = await blkfleet('lab', 'down', '--name', name);
  expect(down.status, down.text).toBe(0);
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  try {
    const again = await up().ended;
    expect(again.status, again.text).toBe(0);
    const now = JSON.parse(again.stdout);
    expect(now.port).not.toBe(port);
    const facts = await blkfleet('facts', '-i', now.inventory, '--json');
    expect(facts.status, facts.text).toBe(0);
  } finally {
    server.close();
  }
});

test('a record that is lost: the old QEMU ends, a new lab is made', async () => {
  const before = await status();
  writeFileSync(files.record, '{"half');
  const again = await up().ended;
  expect(again.status, again.text).toBe(0);
  expect(JSON.parse(again.stdout).pid).not.toBe(before.pid);
  expect(isAlive(before.pid)).toBe(false);
});

test('another kernel is not taken for it; unknown values are refused', async () => {
  const run = (...args: string[]) => blkfleet('lab', 'up', '--name', name, ...args);
  expect((await run('--kernel', '6.12')).status).toBe(64);
  expect((await run('--kernel', '2.6')).status).toBe(64);
  expect((await run('--accel', 'xen')).status).toBe(64);
  expect((await blkfleet('lab', 'up', '--name', '../x')).status).toBe(64);
});
