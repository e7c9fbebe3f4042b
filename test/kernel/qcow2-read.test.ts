import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type BootResult, bootKernel } from './boot.ts';
import type { BuiltSource } from './build.ts';
import { kernelLines } from './lines.ts';
import { prepareModule } from './prepare.ts';
import { dmQcow2, qcow2Files, qcow2Modules, qcow2Script, splatsOf } from './qcow2-guest.ts';
import { ext4Disk, type MadeImage, makeImages } from './qcow2-images.ts';
import { drawTable, showTable } from './table.ts';

const PREPARE_MS = 30 * 60_000;
const BOOT_MS = 20 * 60_000;

const rows: string[][] = kernelLines.map(({ line }) => [line, 'not tried', '', '', '']);
let folder: string;
let images: MadeImage[];

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'blkfleet-qcow2-'));
  mkdirSync(join(folder, 'images'));
  images = makeImages(join(folder, 'images'));
});

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
  const heading = ['dm-qcow2 on', 'build warnings', 'images read', 'dmesg', 'boot'];
  showTable('reading of qcow2 images', drawTable(heading, rows));
});

/** Each image is read by way of the page cache and past it, in pieces that fit no cluster. */
function readScript(): string {
  const steps = images.map(
    ({ name, file }) => `echo "@@image ${name}"
if blkfleet-qcow2 attach /images/${file} --ro --name t >/dev/null; then
	sha256sum </dev/mapper/t
	dd if=/dev/mapper/t bs=37k iflag=direct 2>/dev/null | sha256sum
	blkfleet-qcow2 detach t
fi`,
  );
  return qcow2Script(`${steps.join('\n')}\necho "@@image"`);
}

/** Image → the checksums that the guest found. */
function readSums(output: string): Map<string, string[]> {
  const found = new Map<string, string[]>();
  let current: string[] = [];
  for (const line of output.split('\n')) {
    const mark = /^@@image (.+)$/.exec(line);
    const sum = /^([0-9a-f]{64}) /.exec(line);
    if (mark) {
      current = [];
      found.set(mark[1]!, current);
    } else if (sum) current.push(sum[1]!);
    // What a program had to say instead.
    else if (line && !line.startsWith('@@')) current.push(line);
  }
  return found;
}

describe.each(kernelLines)('dm-qcow2 reads on kernel $line ($suite)', (line) => {
  let built: BuiltSource;
  let result: BootResult;

  beforeAll(async () => {
    const prepared = await prepareModule(dmQcow2, line, (text) => console.log(`[${line.line}] ${text}`));
    built = prepared.built;
    const disk = join(folder, `${line.line}.ext4`);
    ext4Disk(join(folder, 'images'), disk, 0);
    result = await bootKernel({
      kernel: prepared.image,
      modules: qcow2Modules(prepared.image),
      files: qcow2Files(built),
      script: readScript(),
      disks: [disk],
      append: line.debug,
      timeoutMs: BOOT_MS,
    });
    rmSync(disk);
    const sums = readSums(result.output);
    const good = images.filter(({ name, sha256 }) => sums.get(name)?.every((sum) => sum === sha256));
    rows[kernelLines.indexOf(line)] = [
      built.release,
      String(built.warnings.length),
      `${good.length}/${images.length}`,
      splatsOf(result.console).length === 0 ? 'clean' : 'not clean',
      `${Math.round(result.seconds)} s`,
    ];
  }, PREPARE_MS + BOOT_MS);

  test('builds without a warning (W=1)', () => {
    expect(built.warnings).toEqual([]);
  });

  test('every image reads as qemu-img reads it', () => {
    const tail = result.output.split('\n').slice(-20).concat(result.console.split('\n').slice(-20));
    expect(result.exit, tail.join('\n')).toBe(0);
    const expected = images.map(({ name, sha256 }) => [name, [sha256, sha256]]);
    expect([...readSums(result.output)]).toEqual(expected);
  });

  test('leaves the kernel clean, and the module unloads', () => {
    expect(splatsOf(result.console)).toEqual([]);
    expect(result.output).toContain('@@unloaded');
  });
});
