import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { BootResult } from './boot.ts';
import { kernelLines } from './lines.ts';
import { bootWithImages } from './qcow2-boot.ts';
import { qcow2Script, splatsOf } from './qcow2-guest.ts';
import { type MadeImage, makeImages } from './qcow2-images.ts';
import { long } from './run-checks.ts';
import { drawTable, showTable } from './table.ts';

const PREPARE_MS = 30 * 60_000;
const BOOT_MS = (long ? 120 : 30) * 60_000;
const ROUNDS = long ? 40 : 4;
const OPERATIONS = 60;
const THREADS = 4;
const MIB = 1024 * 1024;

const rows: string[][] = kernelLines.map(({ line }) => [line, 'not tried', '', '', '']);
let folder: string;
let images: MadeImage[];

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'blkfleet-qcow2-'));
  mkdirSync(join(folder, 'images'));
  // An external data file is not written, nor is an image that a later one reads.
  images = makeImages(join(folder, 'images')).filter(({ name }) => !/^data-/.test(name));
});

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
  const heading = ['dm-qcow2 on', 'rounds', 'images clean', 'dmesg', 'boot'];
  showTable('writing of qcow2 images', drawTable(heading, rows));
});

/** Tops first, so that who is below another is changed after it. */
const order = () => [...images].reverse();

function writeScript(seed: number): string {
  const steps = order().map(
    ({ name, file }, index) => `echo "@@image ${name}"
if blkfleet-qcow2 attach /images/${file} --name t >/dev/null; then
	qcow2-exercise /dev/mapper/t /images/${name}.model ${seed + index} ${ROUNDS} ${OPERATIONS} ${THREADS} && echo "@@same"
	blkfleet-qcow2 suspend t && cp /images/${file} /images/suspended && blkfleet-qcow2 resume t &&
		blkfleet-qcow2 check /images/suspended >/dev/null && cmp /images/${name}.model /dev/mapper/t && echo "@@resumed"
	blkfleet-qcow2 status t
	blkfleet-qcow2 detach t && echo "@@detached"
fi`,
  );
  return qcow2Script(`${steps.join('\n')}\necho "@@image"`);
}

/** Image → what the guest said of it. */
function readImages(output: string): Map<string, string> {
  const parts = output.split(/^@@image ?/m).slice(1);
  return new Map(
    parts.map((part): [string, string] => [
      part.slice(0, part.indexOf('\n')),
      part.slice(part.indexOf('\n')),
    ]),
  );
}

/**
 * What is wrong with an image that came back; empty: nothing. It is looked at among the others as they were before: what
 * is below it was written later than itself.
 */
function problemsOf(originals: string, back: string, { name, file }: MadeImage): string[] {
  copyFileSync(join(back, file), join(originals, 'written.qcow2'));
  const qemuImg = (...argv: string[]) => spawnSync('qemu-img', argv, { cwd: originals, encoding: 'utf8' });
  const check = qemuImg('check', '-f', 'qcow2', 'written.qcow2');
  const model = join(back, `${name}.model`);
  const compare = qemuImg('compare', '-f', 'qcow2', '-F', 'raw', 'written.qcow2', model);
  rmSync(join(originals, 'written.qcow2'));
  // Bitmaps are no longer consistent, so that their clusters count as leaked.
  const good = (status: number | null) => status === 0 || (name === 'bitmaps' && status === 3);
  return [check, compare]
    .filter((ended) => !(ended === check ? good(ended.status) : ended.status === 0))
    .map(({ stdout, stderr }) => `${name}: ${stdout.slice(0, 1000)}${stderr.slice(0, 1000)}`);
}

describe.each(kernelLines)('dm-qcow2 writes on kernel $line ($suite)', (line) => {
  const index = kernelLines.indexOf(line);
  let result: BootResult;
  let problems: string[];

  beforeAll(async () => {
    const booted = await bootWithImages({
      line,
      folder,
      disks: { images: 600 * MIB },
      script: writeScript(1000 * (index + 1)),
      timeoutMs: BOOT_MS,
    });
    const back = booted.back[0]!;
    result = booted.result;
    problems = images.flatMap((made) => problemsOf(join(folder, 'images'), back, made));
    rmSync(back, { recursive: true });
    rows[index] = [
      booted.built.release,
      String(images.length * ROUNDS),
      `${images.length - new Set(problems.map((text) => text.split(':')[0])).size}/${images.length}`,
      splatsOf(result.console).length === 0 ? 'clean' : 'not clean',
      `${Math.round(result.seconds)} s`,
    ];
  }, PREPARE_MS + BOOT_MS);

  test('reads back what was written, in every round', () => {
    const tail = result.output.split('\n').slice(-20).concat(result.console.split('\n').slice(-20));
    expect(result.exit, tail.join('\n')).toBe(0);
    const said = readImages(result.output);
    for (const { name } of images) {
      expect(said.get(name), name).toContain('@@same');
      expect(said.get(name), name).toContain('@@resumed');
      expect(said.get(name), name).toContain('@@detached');
    }
  });

  test('qemu-img finds each image clean, and its content the same', () => {
    expect(problems).toEqual([]);
  });

  test('leaves the kernel clean, and the module unloads', () => {
    expect(splatsOf(result.console)).toEqual([]);
    expect(result.output).toContain('@@unloaded');
  });
});
