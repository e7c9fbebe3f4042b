import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type BootResult, bootKernel } from './boot.ts';
import { kernelLines } from './lines.ts';
import { prepareModule } from './prepare.ts';
import { saidOfImage } from './qcow2-device-steps.ts';
import { dmQcow2, qcow2Files, qcow2Modules, qcow2Script, splatsOf } from './qcow2-guest.ts';
import { ext4Disk, extractDisk, type MadeImage, makeImages } from './qcow2-images.ts';
import { outerLines } from './run-checks.ts';

const PREPARE_MS = 30 * 60_000;
const BOOT_MS = 20 * 60_000;
const MIB = 1024 * 1024;

// A block holds eight clusters of the first, and is a subcluster of the third.
const names = ['cluster-512', 'cluster-64k', 'subclusters-128k', 'snapshots', 'data-file-raw', 'over-raw'];

let folder: string;
let images: MadeImage[];

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'blkfleet-qcow2-'));
  mkdirSync(join(folder, 'images'));
  images = makeImages(join(folder, 'images'), names);
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** In every second round of the exercise four threads write sectors of the same blocks. */
function exerciseScript(): string {
  const steps = images.map(
    ({ name, file }, index) => `echo "@@image ${name}"
if blkfleet-qcow2 attach /images/${file} --name t >/dev/null; then
	echo "@@sectors $(blockdev --getss /dev/mapper/t)"
	qcow2-exercise /dev/mapper/t /images/${name}.model ${index} 4 60 4 && echo "@@same"
	blkfleet-qcow2 detach t && echo "@@detached"
fi`,
  );
  return qcow2Script(`echo "@@disk $(blockdev --getss /dev/vda)"\n${steps.join('\n')}\necho "@@image"`);
}

test(
  'writes that share a block with a write of a part of it are done one after the other, others at once',
  async () => {
    const line = kernelLines.find(({ line }) => line === '6.12')!;
    const { built } = await prepareModule(dmQcow2, line, console.log);
    const program = join(folder, 'qcow2-order');
    writeFileSync(program, built.programs.get('qcow2-order')!);
    chmodSync(program, 0o755);
    for (const seed of ['1', '2', '3']) {
      const { status, stderr } = spawnSync(program, [seed, '20000'], { encoding: 'utf8' });
      expect(status, stderr).toBe(0);
    }
  },
  PREPARE_MS,
);

describe.each(outerLines)('dm-qcow2 on a disk with blocks of 4096 bytes, kernel $line ($suite)', (line) => {
  let result: BootResult;
  let back: string;

  beforeAll(async () => {
    const { image, built } = await prepareModule(dmQcow2, line, (text) =>
      console.log(`[${line.line}] ${text}`),
    );
    const disk = join(folder, `${line.line}.ext4`);
    ext4Disk(join(folder, 'images'), disk, 200 * MIB);
    const blocks = 'logical_block_size=4096,physical_block_size=4096';
    result = await bootKernel({
      kernel: image,
      modules: qcow2Modules(image),
      files: qcow2Files(built),
      script: exerciseScript(),
      qemuArguments: [
        ...['-drive', `file=${disk},format=raw,if=none,id=disk,cache=unsafe`],
        ...['-device', `virtio-blk-pci,drive=disk,${blocks}`],
      ],
      append: line.debug,
      timeoutMs: BOOT_MS,
    });
    back = join(folder, line.line);
    extractDisk(disk, back);
    rmSync(disk);
  }, PREPARE_MS + BOOT_MS);

  const said = (name: string) => saidOfImage(result.output, name);

  test.each(names)('%s has sectors of 512 bytes that hold what was written', (name) => {
    const tail = result.output.split('\n').slice(-20).concat(result.console.split('\n').slice(-20));
    expect(result.exit, tail.join('\n')).toBe(0);
    expect(result.output).toContain('@@disk 4096');
    const lines = said(name).split('\n');
    for (const line of ['@@sectors 512', '@@same', '@@detached']) expect(lines, said(name)).toContain(line);
  });

  test.each(names)('%s is clean for qemu-img, and its content the same', (name) => {
    const qemuImg = (...argv: string[]) => spawnSync('qemu-img', argv, { cwd: back, encoding: 'utf8' });
    const file = `${name}.qcow2`;
    const check = qemuImg('check', '-f', 'qcow2', file);
    expect(check.status, check.stdout + check.stderr).toBe(0);
    const compare = qemuImg('compare', '-f', 'qcow2', '-F', 'raw', file, `${name}.model`);
    expect(compare.status, compare.stdout + compare.stderr).toBe(0);
  });

  test('leaves the kernel clean, and the module unloads', () => {
    expect(splatsOf(result.console)).toEqual([]);
    expect(result.output).toContain('@@unloaded');
  });
});
