import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { cacheFolder, withLock } from '../../../../src/lab/debian/cache.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'blkfleet-cache-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

test('the folder: our variable, then the standard one, then the home', () => {
  expect(cacheFolder({ BLKFLEET_CACHE: '/a', XDG_CACHE_HOME: '/b' })).toBe('/a');
  expect(cacheFolder({ XDG_CACHE_HOME: '/b' })).toBe('/b/blkfleet');
  expect(cacheFolder({})).toMatch(/\/\.cache\/blkfleet$/);
});

test('one at a time, also after one that failed', async () => {
  const lock = join(folder, 'deep/lock');
  let inside = 0;
  let most = 0;
  const work = async () => {
    most = Math.max(most, ++inside);
    await new Promise((resolve) => setTimeout(resolve, 50));
    inside--;
  };
  const failing = withLock(
    lock,
    () => {},
    async () => {
      await work();
      throw new Error('on purpose');
    },
  );
  const others = [1, 2].map(() => withLock(lock, () => {}, work));
  await expect(failing).rejects.toThrow('on purpose');
  await Promise.all(others);
  expect(most).toBe(1);
});

test('who waits is told; a holder that is killed frees the lock', async () => {
  const lock = join(folder, 'lock');
  const holder = spawn('flock', ['-x', lock, 'sh', '-c', 'echo held; exec cat'], {
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  await new Promise((resolve) => holder.stdout.once('data', resolve));
  const said: string[] = [];
  const got = withLock(
    lock,
    (line) => said.push(line),
    async () => 'mine',
  );
  await expect.poll(() => said.length, { timeout: 10_000 }).toBe(1);
  holder.stdin.end();
  expect(await got).toBe('mine');
});

test('a cache that can not be made is the operator’s matter, not a bug', async () => {
  writeFileSync(join(folder, 'file'), '');
  const lock = join(folder, 'file/lock');
  await expect(
    withLock(
      lock,
      () => {},
      async () => 1,
    ),
  ).rejects.toMatchObject({ code: 'E_FILE' });
});
