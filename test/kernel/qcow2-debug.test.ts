import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cacheFolder } from '../../src/lab/debian/cache.ts';
import { type BuiltSource, buildSource } from './build.ts';
import { AT_END, bootDebug, type DebugGuest, IDLE, lookForLeaks, tailOf } from './debug-guest.ts';
import { type DebugKernel, prepareDebugKernel } from './debug-kernel.ts';
import { canGrow, deviceSteps, rawSteps, saidOfImage } from './qcow2-device-steps.ts';
import { dmQcow2, qcow2Files, qcow2Script } from './qcow2-guest.ts';
import { hostileSteps, makeHostileImages } from './qcow2-hostile-images.ts';
import { ext4Disk, type MadeImage, makeImages } from './qcow2-images.ts';
import { mergedMarks, mergedNames, mergedSteps } from './qcow2-merge-steps.ts';
import { drawTable, showTable } from './table.ts';

const PREPARE_MS = 150 * 60_000;
const BOOT_MS = 120 * 60_000;
const MIB = 1024 * 1024;
const MUTATED = 150;

let folder: string;
let kernel: DebugKernel;
let built: BuiltSource;
const rows: string[][] = [];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'blkfleet-qcow2-'));
  kernel = await prepareDebugKernel((line) => console.log(`[debug kernel] ${line}`));
  built = await buildSource(
    dmQcow2,
    { root: kernel.root, release: kernel.image.release, tree: kernel.tree },
    join(cacheFolder(), 'builds', dmQcow2.name),
  );
}, PREPARE_MS);

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
  showTable(
    'dm_qcow2 on a debug kernel',
    drawTable(['guest', 'what', 'splats', 'lockdep', 'QEMU', 'seconds'], rows),
  );
});

/** This kernel knows no disk but a file of its own memory; the images come with it, in a file system. */
async function boot(name: string, images: string, free: number, steps: string): Promise<DebugGuest> {
  const disk = join(folder, 'disk.ext4');
  ext4Disk(images, disk, free);
  const packed = gzipSync(readFileSync(disk), { level: 1 });
  rmSync(disk);
  return bootDebug(kernel, name, {
    files: [...qcow2Files(built), { path: 'disk.gz', data: packed }],
    script: `gunzip -c /disk.gz >/tmp/disk || exit 1\nrm /disk.gz\n${qcow2Script(
      `${steps}\n${lookForLeaks}`,
      { at: '/images', mount: 'mount -t ext4 -o loop /tmp/disk' },
    )}`,
    memoryMb: 4096,
    timeoutMs: BOOT_MS,
  });
}

function addRow(name: string, what: string, guest: DebugGuest): void {
  rows.push([
    name,
    what,
    String(guest.splats.length),
    guest.lockdepOn ? 'on' : 'OFF',
    guest.boot.ended,
    String(Math.round(guest.boot.seconds)),
  ]);
}

/** The detectors were on from begin to end, and saw nothing; nothing kept the module. */
function expectClean(guest: DebugGuest): void {
  expect(guest.splats, tailOf(guest)).toEqual([]);
  expect(guest.boot.ended, tailOf(guest)).toBe('exit 0');
  expect(guest.boot.exit, tailOf(guest)).toBe(0);
  expect(Object.fromEntries(guest.leaks)).toEqual({ [IDLE]: '', [AT_END]: '' });
  expect(guest.kmemleakOn).toBe(true);
  expect(guest.lockdepOn).toBe(true);
  expect(guest.boot.output).toContain('@@unloaded');
}

describe('dm_qcow2 on a debug kernel', () => {
  describe('devices that are merged down, written, asked, grown, suspended', () => {
    let images: MadeImage[];
    let guest: DebugGuest;

    beforeAll(async () => {
      const made = join(folder, 'images');
      mkdirSync(made);
      images = makeImages(made).filter(({ name }) => name !== 'odd-size');
      const steps = `${mergedSteps(images)}\n${deviceSteps(images)}\n${rawSteps(images[0]!)}`;
      guest = await boot('qcow2 devices', made, 700 * MIB, steps);
      addRow('devices', `${images.length} images`, guest);
    }, BOOT_MS);

    test('each holds what was written', () => {
      for (const { name } of images) {
        const said = saidOfImage(guest.boot.output, name);
        expect([name, said]).toEqual([name, expect.stringContaining('@@same\n@@flushed')]);
        expect([name, said]).toEqual([name, expect.stringContaining('@@no image\n@@resumed')]);
        expect([name, said]).toEqual([name, expect.stringContaining('@@detached')]);
        if (canGrow(name) && !said.includes('@@not grown'))
          expect([name, said]).toEqual([name, expect.stringContaining('@@grown\n@@same again')]);
      }
    });

    test('each top that is merged down is in the image below, with what was written meanwhile', () => {
      for (const name of mergedNames) {
        const said = saidOfImage(guest.boot.output, `merged ${name}`);
        for (const mark of mergedMarks) expect([name, said]).toEqual([name, expect.stringContaining(mark)]);
      }
    });

    test('show no bug and leak nothing', () => expectClean(guest));
  });

  describe('hostile images', () => {
    let count: number;
    let guest: DebugGuest;

    beforeAll(async () => {
      const made = join(folder, 'hostile');
      count = makeHostileImages(made, MUTATED).length;
      guest = await boot('qcow2 hostile images', made, 512 * MIB, hostileSteps(count));
      addRow('hostile images', `${count} images`, guest);
    }, BOOT_MS);

    test('each gets an answer', () => {
      const answers = guest.boot.output.match(/^@@(?:loaded|refused) .*$/gm) ?? [];
      expect(answers).toHaveLength(2 * count);
      expect(guest.boot.output).not.toMatch(/^@@stuck /m);
    });

    test('show no bug and leak nothing', () => expectClean(guest));
  });
});
