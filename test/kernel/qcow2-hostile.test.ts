import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type BootResult, bootKernel } from './boot.ts';
import { kernelLines } from './lines.ts';
import { prepareModule } from './prepare.ts';
import { dmQcow2, qcow2Files, qcow2Modules, qcow2Script, splatsOf } from './qcow2-guest.ts';
import { hostileSteps, makeHostileImages } from './qcow2-hostile-images.ts';
import { ext4Disk } from './qcow2-images.ts';
import { long, outerLines } from './run-checks.ts';

const PREPARE_MS = 30 * 60_000;
const BOOT_MS = (long ? 60 : 20) * 60_000;
/** On each line, others on each: 5000 over all lines. */
const MUTATED = long ? 1250 : 120;
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'blkfleet-qcow2-'));
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe.each(outerLines)('dm-qcow2 and hostile images on kernel $line ($suite)', (line) => {
  let names: { name: string; refused: boolean }[];
  let result: BootResult;

  beforeAll(async () => {
    const images = join(folder, line.line);
    names = makeHostileImages(images, MUTATED, MUTATED * kernelLines.indexOf(line));
    const { image, built } = await prepareModule(dmQcow2, line, (text) =>
      console.log(`[${line.line}] ${text}`),
    );
    const disk = join(folder, `${line.line}.ext4`);
    ext4Disk(images, disk, 512 * 1024 * 1024);
    rmSync(images, { recursive: true });
    result = await bootKernel({
      kernel: image,
      modules: qcow2Modules(image),
      files: qcow2Files(built),
      script: qcow2Script(hostileSteps(names.length)),
      disks: [disk],
      append: line.debug,
      timeoutMs: BOOT_MS,
    });
    rmSync(disk);
  }, PREPARE_MS + BOOT_MS);

  const said = (what: string) =>
    [...result.output.matchAll(new RegExp(`^@@${what} (.*)$`, 'gm'))].map((match) => match[1]!);

  test('each image gets an answer, and its device goes again', () => {
    const tail = result.output.split('\n').slice(-20).concat(result.console.split('\n').slice(-20));
    expect(result.exit, tail.join('\n')).toBe(0);
    expect(said('loaded').length + said('refused').length).toBe(2 * names.length);
    expect(said('stuck')).toEqual([]);
    expect(said('loaded').length).toBeGreaterThan(0);
  });

  test('what can not be an image is refused', () => {
    const loaded = said('loaded').map((text) => Number(text.split(' ')[1]));
    expect(loaded.filter((index) => names[index]!.refused).map((index) => names[index]!.name)).toEqual([]);
  });

  test('no file grows by what an image says', () => {
    expect(said('large')).toEqual([]);
  });

  test('the kernel stays clean, and the module unloads', () => {
    expect(splatsOf(result.console)).toEqual([]);
    expect(result.output).toContain('@@unloaded');
  });
});
