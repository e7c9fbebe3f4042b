import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { kernelLines } from './lines.ts';
import { prepareModule } from './prepare.ts';
import { dmQcow2 } from './qcow2-guest.ts';

const PREPARE_MS = 30 * 60_000;
const CLUSTER = 512n;
const SNAPSHOTS = 20;
const COPIED = 1n << 63n;
const OFFSET = 0xfffffffffffe00n;
const CORRUPT = 2n;

let folder: string;
let good: Buffer;

/** With clusters so small that every table has several. */
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'blkfleet-qcow2-'));
  const line = kernelLines.find(({ line }) => line === '6.12')!;
  const { built } = await prepareModule(dmQcow2, line, console.log);
  writeFileSync(join(folder, 'qcow2-fill'), built.programs.get('qcow2-fill')!);
  chmodSync(join(folder, 'qcow2-fill'), 0o755);
  const file = join(folder, 'good.qcow2');
  execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', '-o', `cluster_size=${CLUSTER}`, file, '1M']);
  execFileSync('qemu-io', ['-f', 'qcow2', '-c', 'write -P 1 0 300k', file]);
  for (let i = 0; i < SNAPSHOTS; i++)
    execFileSync('qemu-img', ['snapshot', '-c', `a snapshot with a longer name ${i}`, file]);
  execFileSync('qemu-io', ['-f', 'qcow2', '-c', 'write -P 2 0 200k', file]);
  good = readFileSync(file);
}, PREPARE_MS);

afterAll(() => rmSync(folder, { recursive: true, force: true }));

const at = (place: bigint) => good.readBigUInt64BE(Number(place));
const l1 = () => at(40n);
const l2 = (index: bigint) => at(l1() + 8n * index) & OFFSET;
const snapshots = () => at(64n);
const end = () => ((BigInt(good.length) + CLUSTER - 1n) / CLUSTER) * CLUSTER;

/** Writes the whole disk of an image whose bytes of a place were changed; gives back what became of the image. */
function fill(place: bigint, value: bigint): { before: Buffer; after: Buffer; said: string } {
  const before = Buffer.from(good);
  before.writeBigUInt64BE(value, Number(place));
  writeFileSync(join(folder, 'image.qcow2'), before);
  const ended = spawnSync('./qcow2-fill', ['image.qcow2', 'after.qcow2'], { cwd: folder, encoding: 'utf8' });
  expect(ended.status, ended.stderr).toBe(0);
  return { before, after: readFileSync(join(folder, 'after.qcow2')), said: ended.stderr };
}

const isCorrupt = (image: Buffer) => (image.readBigUInt64BE(72) & CORRUPT) !== 0n;

test('an image is filled when nothing is wrong with it', () => {
  const { after, said } = fill(0n, at(0n));
  expect(said).toBe('');
  expect(isCorrupt(after)).toBe(false);
  execFileSync('qemu-img', ['check', '-q', '-f', 'qcow2', join(folder, 'after.qcow2')]);
});

describe('an L2 entry is not followed for a write', () => {
  test.each<[string, () => bigint]>([
    ['to the end of the snapshot table', () => snapshots() + ((BigInt(SNAPSHOTS) * 96n) / CLUSTER) * CLUSTER],
    ["to a snapshot's L1 table", () => at(snapshots())],
    ['to an L2 table', () => l2(1n)],
    ['to a refcount block', () => at(at(48n))],
    ['behind the end, where space is taken ahead', () => end() + 8n * CLUSTER],
  ])('%s', (_, place) => {
    const where = place();
    const { before, after, said } = fill(l2(0n), COPIED | where);
    expect(said).toMatch(/an L2 entry points/);
    expect(isCorrupt(after)).toBe(true);
    const bytes = (image: Buffer) => image.subarray(Number(where), Number(where + CLUSTER));
    expect(bytes(after).equals(bytes(before)) || bytes(after).every((byte) => byte === 0)).toBe(true);
  });
});

describe('no new cluster is placed', () => {
  test.each<[string, () => bigint]>([
    ['where a table behind the end of the file would be', () => end()],
    ['where one a little further behind would be', () => end() + 4n * CLUSTER],
  ])('%s', (_, place) => {
    // Of the last part of the disk, which is written last.
    const { after, said } = fill(l1() + 8n * 31n, COPIED | place());
    expect(said).toContain('the refcount of a table is 0');
    expect(isCorrupt(after)).toBe(true);
  });
});
