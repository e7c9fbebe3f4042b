import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { type LabRecord, labFiles, readRecord, writeRecord } from '../../../src/lab/state.ts';

let cache: string;
beforeEach(() => {
  cache = mkdtempSync(join(tmpdir(), 'blkfleet-lab-'));
  vi.stubEnv('BLKFLEET_CACHE', cache);
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(cache, { recursive: true });
});

const record: LabRecord = {
  name: 'one',
  kernel: '6.1',
  release: '6.1.0-56-cloud-amd64',
  accel: 'tcg',
  port: 2222,
  hostKey: 'ssh-ed25519 AAAAC3Nz',
  process: { pid: 5, startTime: '77' },
};

test('a record comes back as it was written, and nothing else stays', async () => {
  const files = labFiles('one');
  expect(await readRecord(files)).toBeNull();
  await writeRecord(files, record);
  await writeRecord(files, { ...record, port: 3333 });
  expect(await readRecord(files)).toEqual({ ...record, port: 3333 });
  expect(readdirSync(files.folder)).toEqual(['lab.json']);
});

test.each([
  ['half of it', '{"name":"one","kernel":"6.1"'],
  ['nothing', ''],
  ['another form', '{"name":"one"}'],
  ['an unknown kernel', JSON.stringify({ ...record, kernel: '2.6' })],
  ['a host key with a line break', JSON.stringify({ ...record, hostKey: 'ssh-ed25519 AA\nall:' })],
])('a record that holds %s is none', async (_what, text) => {
  const files = labFiles('one');
  await writeRecord(files, record);
  writeFileSync(files.record, text);
  expect(await readRecord(files)).toBeNull();
});

test.each(['', '..', 'a/b', 'Lab', '-x', 'a b', 'x'.repeat(32)])('%j is no name', (name) => {
  expect(() => labFiles(name)).toThrow(expect.objectContaining({ code: 'E_USAGE' }));
});
