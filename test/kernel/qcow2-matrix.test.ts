import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Semaphore } from '../../src/lib/semaphore.ts';
import { type BootResult, bootKernel } from './boot.ts';
import type { BuiltSource } from './build.ts';
import { kernelLines } from './lines.ts';
import { prepareModule } from './prepare.ts';
import { dmQcow2, qcow2Files, qcow2Modules, qcow2Script, readSums, splatsOf } from './qcow2-guest.ts';
import { ext4Disk, extractDisk, type MadeImage, makeImages } from './qcow2-images.ts';
import { writeSources } from './qcow2-operations.ts';
import { compareTwins, makeTwins, type Twins } from './qcow2-twin.ts';
import { long } from './run-checks.ts';
import { drawTable, showTable } from './table.ts';

const PREPARE_MS = 30 * 60_000;
const BOOT_MS = (long ? 60 : 20) * 60_000;
const MIB = 1024 * 1024;

// On each line other images and operations: 512 rounds over all of them.
const TWINS = long ? 64 : 16;
const ROUNDS = 8;
const THREADS = 4;

const rows: string[][] = kernelLines.map(({ line }) => [line, 'not tried', '', '', '', '']);
let folder: string;
let images: MadeImage[];

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'blkfleet-qcow2-'));
  mkdirSync(join(folder, 'images'));
  images = makeImages(join(folder, 'images'));
  // By way of the page cache and past it, in pieces that fit no cluster.
  writeFileSync(join(folder, 'images', 'read.list'), 'sum 0\nsum 37888\n');
});

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
  const heading = ['dm-qcow2 on', 'build warnings', 'images read', 'rounds like QEMU', 'dmesg', 'boot'];
  showTable('qcow2 images, read and written', drawTable(heading, rows));
});

function guestScript(twins: readonly Twins[]): string {
  const reads = images.map(
    ({ name, file }) => `echo "@@image ${name}"
if blkfleet-qcow2 attach /images/read/${file} --ro --name t >/dev/null; then
	qcow2-apply t /images/read/read.list
	blkfleet-qcow2 detach t
fi`,
  );
  const writes = twins.map(
    ({ name }) => `echo "@@image ${name}"
if blkfleet-qcow2 attach /images/${name}.qcow2 --name t >/dev/null; then
	qcow2-apply t /images/${name}.list /images/sources /images/${name}.qcow2 ${THREADS}
	blkfleet-qcow2 detach t
fi`,
  );
  return qcow2Script([...reads, ...writes, 'echo "@@image"'].join('\n'));
}

describe.each(kernelLines)('dm-qcow2 on kernel $line ($suite)', (line) => {
  const index = kernelLines.indexOf(line);
  let built: BuiltSource;
  let result: BootResult;
  let sums: Map<string, string[]>;
  let problems: string[];

  beforeAll(async () => {
    const prepared = await prepareModule(dmQcow2, line, (text) => console.log(`[${line.line}] ${text}`));
    built = prepared.built;
    const work = join(folder, line.line);
    mkdirSync(work);
    const twins = Array.from({ length: TWINS }, (_, twin) =>
      makeTwins(work, `twin-${twin}`, 1000 * (index + 1) + twin, ROUNDS, '/images'),
    );
    writeSources(join(work, 'sources'));
    const disk = join(folder, `${line.line}.ext4`);
    cpSync(join(folder, 'images'), join(work, 'read'), { recursive: true });
    ext4Disk(work, disk, TWINS * 32 * MIB);
    result = await bootKernel({
      kernel: prepared.image,
      modules: qcow2Modules(prepared.image),
      files: qcow2Files(built),
      script: guestScript(twins),
      disks: [disk],
      append: line.debug,
      timeoutMs: BOOT_MS,
    });
    sums = readSums(result.output);
    const back = join(folder, `${line.line}.back`);
    extractDisk(disk, back);
    rmSync(disk);
    const places = new Semaphore(availableParallelism());
    const found = await Promise.all(
      twins.map((one) => places.use(() => compareTwins(one, work, back, sums.get(one.name) ?? []))),
    );
    problems = found.flat();
    for (const path of [work, back]) rmSync(path, { recursive: true });
    const good = images.filter(({ name, sum }) => sums.get(name)?.every((is) => is === sum));
    rows[index] = [
      built.release,
      String(built.warnings.length),
      `${good.length}/${images.length}`,
      `${found.filter((one) => one.length === 0).length * ROUNDS}/${TWINS * ROUNDS}`,
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
    for (const { name, sum } of images) expect([name, sums.get(name)]).toEqual([name, [sum, sum]]);
  });

  test('what is written through it and by qemu-io leaves the same, and images that qemu-img finds clean', () => {
    expect(problems).toEqual([]);
  });

  test('leaves the kernel clean, and the module unloads', () => {
    expect(splatsOf(result.console)).toEqual([]);
    expect(result.output).toContain('@@unloaded');
  });
});
