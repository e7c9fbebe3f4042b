import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, statSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { BootResult } from './boot.ts';
import { bootWithImages } from './qcow2-boot.ts';
import { saidOfImage } from './qcow2-device-steps.ts';
import { qcow2Script, splatsOf } from './qcow2-guest.ts';
import { type MadeImage, makeImages } from './qcow2-images.ts';
import { allMergeSteps, belowOf, mergedMarks, mergedNames, refusedName } from './qcow2-merge-steps.ts';
import { long, outerLines } from './run-checks.ts';

const PREPARE_MS = 30 * 60_000;
const BOOT_MS = 20 * 60_000;
const MIB = 1024 * 1024;

let folder: string;
let images: MadeImage[];

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'blkfleet-qcow2-'));
  for (const name of ['images', 'below']) mkdirSync(join(folder, name));
  images = makeImages(join(folder, 'images'), [...mergedNames, refusedName, 'over-raw']);
  const run = (cwd: string, command: string) =>
    execFileSync('sh', ['-c', command], { cwd: join(folder, cwd) });
  const create = (file: string, below: string, bytes: string) =>
    `qemu-img create -q -u -f qcow2 -b ${below} -F qcow2 ${file} ${bytes}`;
  run(
    'images',
    `${create('over-snapshot.qcow2', 'cluster-64k.qcow2', '6M')}; qemu-img snapshot -c s over-snapshot.qcow2`,
  );
  // What the lower image had behind its end is not to be seen when it grows.
  run(
    'images',
    'qemu-img create -q -f qcow2 tail.qcow2 128k; qemu-io -c "write -P 5 0 128k" tail.qcow2 >/dev/null',
  );
  run(
    'images',
    `qemu-img resize -q --shrink tail.qcow2 96k; ${create('over-tail.qcow2', 'tail.qcow2', '1M')}`,
  );
  run('below', 'for f in base small; do qemu-img create -q -f qcow2 $f.qcow2 48M; done');
  run('below', 'qemu-io -c "write -P 9 1M 2M" base.qcow2 >/dev/null');
  // Within the guest what lies below is in another folder.
  for (const [name, below, what] of [
    ['frozen', 'base', 'write -P 3 0 12M'],
    ['full', 'small', 'write -P 4 0 40M'],
  ]) {
    run(
      'images',
      `qemu-img create -q -f qcow2 ${name}.qcow2 48M; qemu-io -c "${what}" ${name}.qcow2 >/dev/null`,
    );
    run('images', `qemu-img rebase -u -f qcow2 -b /below/${below}.qcow2 -F qcow2 ${name}.qcow2`);
  }
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What is wrong with a chain that was merged; empty: nothing. */
function problemsOf(at: string, { name, file }: MadeImage): string[] {
  const qemuImg = (...argv: string[]) => spawnSync('qemu-img', argv, { cwd: at, encoding: 'utf8' });
  const below = `${belowOf[name]}.qcow2`;
  // Empty: what it had is leaked, and it shows what lies below.
  const top = qemuImg('check', '-f', 'qcow2', file);
  const ended = [
    qemuImg('check', '-f', 'qcow2', below),
    ...(top.status === 3 ? [] : [top]),
    qemuImg('compare', '-f', 'qcow2', '-F', 'raw', file, 'model'),
    qemuImg('convert', '-f', 'qcow2', '-O', 'raw', below, 'below.raw'),
  ];
  // It may be larger than its top was.
  truncateSync(join(at, 'below.raw'), statSync(join(at, 'model')).size);
  return [...ended, qemuImg('compare', '-f', 'raw', '-F', 'raw', 'below.raw', 'model')]
    .filter(({ status }) => status !== 0)
    .map(({ stdout, stderr }) => `${name}: ${stdout.slice(0, 1000)}${stderr.slice(0, 1000)}`);
}

describe.each(long ? outerLines : outerLines.slice(1))(
  'merging a chain of dm-qcow2 down on kernel $line ($suite)',
  (line) => {
    let result: BootResult;
    let problems: string[];
    let lower: string;

    beforeAll(async () => {
      const booted = await bootWithImages({
        line,
        folder,
        disks: { images: 400 * MIB, below: 16 * MIB },
        script: qcow2Script(
          `mkdir -p /below\nmount -t ext4 /dev/vdb /below || exit 1\n${allMergeSteps(images)}\numount /below`,
        ),
        timeoutMs: BOOT_MS,
      });
      const { back } = booted;
      result = booted.result;
      const merged = images.filter(({ name }) => mergedNames.includes(name));
      problems = merged.flatMap((made) => problemsOf(join(back[0]!, 'merged', made.name), made));
      lower = spawnSync('qemu-img', ['check', '-f', 'qcow2', 'base.qcow2'], {
        cwd: back[1]!,
        encoding: 'utf8',
      }).stdout;
      for (const path of back) rmSync(path, { recursive: true });
    }, PREPARE_MS + BOOT_MS);

    const said = (name: string) => {
      const tail = result.output.split('\n').slice(-20).concat(result.console.split('\n').slice(-20));
      expect(result.exit, tail.join('\n')).toBe(0);
      return saidOfImage(result.output, name);
    };

    test.each(mergedNames)(
      '%s: what is written meanwhile is there, and the image below is the device',
      (name) => {
        const text = said(`merged ${name}`);
        expect(text).toMatch(
          new RegExp(`^/images/merged/${name}/${belowOf[name]}\\.qcow2\\tis the top of t now$`, 'm'),
        );
        expect(text).toMatch(new RegExp(`^/images/merged/${name}/${name}\\.qcow2\\tis empty$`, 'm'));
        for (const mark of mergedMarks) expect(text).toContain(mark);
        expect(text).toContain('state none');
        // The device does not have that top any more.
        expect(text).toMatch(/^blkfleet-qcow2: t: it does not show |there is no image below it$/m);
        expect(text).not.toContain('@@changed');
      },
    );

    test('qemu-img finds the lower images whole, with all that was written, and the tops empty', () => {
      expect(problems).toEqual([]);
      expect(lower).toContain('No errors were found');
    });

    test('what can not be merged is refused, and the device stays as it was', () => {
      const text = said('refused');
      const refusals = text.split('\n').filter((text) => text.startsWith('blkfleet-qcow2: '));
      expect(refusals).toEqual([
        expect.stringMatching(/t: it does not show \/images\/over-packed\.qcow2 over /),
        expect.stringMatching(/cluster-64k\.qcow2: there is no image below it$/),
        expect.stringMatching(/cluster-64k\.qcow2: in use by another process$/),
        expect.stringMatching(/t: it is suspended: 'blkfleet-qcow2 resume t' first$/),
        expect.stringMatching(/t: it is read only$/),
        expect.stringMatching(/pattern\.raw: it is raw, and only /),
        expect.stringMatching(/t: the merge is refused, dmesg tells why: /),
        expect.stringMatching(/t: the merge is refused, dmesg tells why: /),
        expect.stringMatching(/t: the merge is refused, dmesg tells why: /),
      ]);
      expect(result.console).toContain('merge grow: its backing file is larger');
      expect(result.console).toContain('merge grow: its last cluster holds what is left of a larger disk');
      expect(result.console).toContain('merge start: the top has internal snapshots');
      expect(text).toContain('@@as before');
      for (const what of ['start', 'grow', 'finish', 'sideways']) expect(text).toContain(`@@no ${what}\n`);
      expect(text.match(/@@no table/g)).toHaveLength(8);
    });

    test('a merge that is interrupted is given up, one whose tool was killed goes on', () => {
      const text = said('disturbed');
      const interrupted = /^@@interrupted 1 blkfleet-qcow2: t: interrupted; it goes on as before$/gm;
      expect(text.match(interrupted)).toHaveLength(2);
      expect(text).toContain('blkfleet-qcow2: t: another commit of it is under way\n@@second 1\n');
      expect(text.match(/^@@killed 137$/gm)).toHaveLength(2);
      expect(text).toContain('@@merged\n');
      expect(text.match(/@@as before/g)).toHaveLength(4);
      expect(text).toContain('@@detached\n');
    });

    test('one whose tool was killed when all but the last step was done is ended by another', () => {
      const text = said('done');
      expect(text).toMatch(/^state done left 0 of \d+ error 0$/m);
      for (const mark of ['merged', 'holds', 'detached']) expect(text).toContain(`@@${mark}\n`);
    });

    test('a file system without space ends the merge, and nothing is lost', () => {
      const text = said('full');
      expect(text).toMatch(/^@@full 1 blkfleet-qcow2: t: the merge is failed: No space left on device$/m);
      for (const mark of ['same', 'holds', 'detached']) expect(text).toContain(`@@${mark}\n`);
      expect(text).toContain('state none');
    });

    test('leaves the kernel clean, and the module unloads', () => {
      expect(splatsOf(result.console)).toEqual([]);
      expect(result.output).toContain('@@unloaded');
    });
  },
);
