import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { buildKey, vhostBlk } from '../../kernel/build.ts';

let root: string;

beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'blkfleet-root-'));
  mkdirSync(join(root, 'var/lib/dpkg'), { recursive: true });
  writeFileSync(join(root, 'var/lib/dpkg/status'), 'Package: gcc\n');
});

afterAll(() => rmSync(root, { recursive: true, force: true }));

test('a build is found again by all that can change it', () => {
  const key = buildKey(vhostBlk, { root, release: '6.1' });
  expect(buildKey(vhostBlk, { root, release: '6.1' })).toBe(key);
  const others = [
    buildKey(vhostBlk, { root, release: '6.12' }),
    buildKey(vhostBlk, { root, release: '6.1', tree: '/usr/src/other' }),
    // A result with fewer programs is none for who wants more.
    buildKey({ ...vhostBlk, programs: vhostBlk.programs.slice(0, 1) }, { root, release: '6.1' }),
  ];
  writeFileSync(join(root, 'var/lib/dpkg/status'), 'Package: gcc-14\n');
  others.push(buildKey(vhostBlk, { root, release: '6.1' }));
  expect(new Set([key, ...others]).size).toBe(5);
});
