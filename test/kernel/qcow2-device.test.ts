import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { BootResult } from './boot.ts';
import { bootWithImages } from './qcow2-boot.ts';
import { canGrow, deviceSteps, rawSteps, saidOfImage } from './qcow2-device-steps.ts';
import { qcow2Script, splatsOf } from './qcow2-guest.ts';
import { type MadeImage, makeImages } from './qcow2-images.ts';
import { outerLines } from './run-checks.ts';

const PREPARE_MS = 30 * 60_000;
const BOOT_MS = 20 * 60_000;
const MIB = 1024 * 1024;

const names = [
  ...['cluster-512', 'cluster-4k', 'cluster-64k', 'snapshots', 'subclusters-16k', 'growing'],
  ...['data-file', 'data-file-raw', 'data-file-subclusters', 'over-longer'],
];

let folder: string;
let images: MadeImage[];

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'blkfleet-qcow2-'));
  mkdirSync(join(folder, 'images'));
  images = makeImages(join(folder, 'images'), names).filter(({ name }) => names.includes(name));
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What is wrong with an image that came back; empty: nothing. */
function problemsOf(back: string, { name, file, dataFile }: MadeImage): string[] {
  const qemuImg = (...argv: string[]) => spawnSync('qemu-img', argv, { cwd: back, encoding: 'utf8' });
  const model = `${name}.model`;
  const ended = [
    qemuImg('check', '-f', 'qcow2', file),
    // Below it others are as they were made.
    ...(canGrow(name) ? [qemuImg('compare', '-f', 'qcow2', '-F', 'raw', file, model)] : []),
    ...(name === 'data-file-raw' ? [qemuImg('compare', '-f', 'raw', '-F', 'raw', dataFile!, model)] : []),
  ];
  return ended
    .filter(({ status }) => status !== 0)
    .map(({ stdout, stderr }) => `${name}: ${stdout.slice(0, 1000)}${stderr.slice(0, 1000)}`);
}

describe.each(outerLines)('dm-qcow2 devices on kernel $line ($suite)', (line) => {
  let result: BootResult;
  let problems: string[];

  beforeAll(async () => {
    const booted = await bootWithImages({
      line,
      folder,
      disks: { images: 400 * MIB },
      script: qcow2Script(`${deviceSteps(images)}\n${rawSteps(images[0]!)}`),
      timeoutMs: BOOT_MS,
    });
    const back = booted.back[0]!;
    result = booted.result;
    problems = images.flatMap((made) => problemsOf(back, made));
    rmSync(back, { recursive: true });
  }, PREPARE_MS + BOOT_MS);

  const said = (name: string) => saidOfImage(result.output, name);

  test.each(names)('%s holds what was written, before and after it has grown', (name) => {
    const tail = result.output.split('\n').slice(-20).concat(result.console.split('\n').slice(-20));
    expect(result.exit, tail.join('\n')).toBe(0);
    const lines = said(name).split('\n');
    expect(lines).toContain('@@same');
    expect(lines).toContain('@@detached');
    if (canGrow(name)) expect(lines.join('\n')).toContain('@@grown\n@@same again');
    else expect(lines).toContain('@@not grown');
  });

  test.each(names)('%s answers messages while it is not suspended', (name) => {
    const text = said(name);
    expect(text).toContain('@@flushed');
    expect(text).toContain('@@unknown');
    expect(text).toContain('@@suspended');
    expect(text).toMatch(/^@@cache slices \d+ limit 2048 dirty \d+ hits [1-9]\d* misses [1-9]\d*$/m);
    expect(text).toMatch(
      /^@@allocation cluster \d+ allocated \d+ freed \d+ to_be_freed 0 end \d+ space \d+$/m,
    );
    expect(text).toMatch(/^@@errors requests 0 failed 0$/m);
    expect(text).toMatch(/^@@stats requests [1-9]\d* slow [1-9]\d* at_once \d+ commits [1-9]\d*$/m);
  });

  test.each(names)('%s is resumed when what its file was is there again', (name) => {
    expect(said(name)).toContain('@@no image\n@@resumed');
  });

  test('a raw file alone is a chain', () => {
    expect(result.output).toContain('@@raw');
  });

  test('qemu-img finds each image clean, and its content the same', () => {
    expect(problems).toEqual([]);
  });

  test('leaves the kernel clean, and the module unloads', () => {
    expect(splatsOf(result.console)).toEqual([]);
    expect(result.output).toContain('@@unloaded');
  });
});
