import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type BootResult, bootKernel } from './boot.ts';
import { BRIDGE, BRIDGE_TEST, qemuImage, Workshop } from './bridge.ts';
import { aloneScript, end, prelude, qemuScript } from './bridge-guest.ts';
import { kernelLines } from './lines.ts';
import { type Prepared, prepareKernel, prepareLine } from './prepare.ts';
import { splat } from './run-checks.ts';

const PREPARE_MS = 60 * 60_000;
// Fifteen seconds on a quiet machine for each.
const BOOT_MS = 15 * 60_000;

/** Those that Debian's suites have: what the bridge is for. */
const qemus = [
  { version: '7.2', suite: 'bookworm', kills: 5 },
  { version: '10.0', suite: 'trixie', kills: 20 },
  { version: '11.1', suite: 'sid', kills: 20 },
];

const log = (line: string) => console.log(`[bridge] ${line}`);
// The line whose workers are tasks of their owner, so that a bridge that is killed makes the most trouble.
const line = kernelLines.find(({ line }) => line === '6.12')!;

let workshop: Workshop;
let prepared: Prepared;

beforeAll(async () => {
  prepared = await prepareLine(line, log);
  workshop = Workshop.open((await prepareKernel(line, log)).target.root);
  await workshop.make(BRIDGE, 'STATIC=1');
  await workshop.make(BRIDGE_TEST, 'STATIC=1 guest boot');
}, PREPARE_MS);

afterAll(() => workshop?.remove());

function boot(script: string, images: readonly string[] = []): Promise<BootResult> {
  const { image, built } = prepared;
  const programs = ['vhost-user-bridge', 'vhost-user-bridge-guest'];
  const modules = ['virtio_pci', 'virtio_blk', 'loop', 'null_blk', 'crc32c_generic', 'ext4'];
  return bootKernel({
    kernel: image,
    modules: modules.filter((name) => image.hasModule(name)),
    moduleParameters: { null_blk: 'nr_devices=0' },
    files: [
      { path: 'vhost_blk.ko', data: built.module },
      ...programs.map((name) => ({ path: `sbin/${name}`, data: workshop.read(name), mode: 0o755 })),
      { path: 'boot-sector', data: workshop.read('boot-sector') },
      // A firmware that stops at its first instruction: hlt.
      { path: 'halt.bin', data: Buffer.alloc(65_536, 0xf4) },
    ],
    script: prelude + script + end,
    append: line.debug,
    memoryMb: 1536,
    readOnlyDisks: images,
    timeoutMs: BOOT_MS,
  });
}

/** What was shown; the guest came to its end, and its kernel had nothing to complain of. */
function shown(result: BootResult): string[] {
  expect(result.console.split('\n').filter((text) => splat.test(text))).toEqual([]);
  expect(result.exit, `${result.ended}\n${result.output}`).toBe(0);
  expect(result.output).toContain('@@unloaded');
  const lines = result.output.split('\n');
  expect(lines.filter((text) => text.startsWith('not ok'))).toEqual([]);
  return lines.filter((text) => text.startsWith('ok - ')).map((text) => text.slice('ok - '.length));
}

/** No write is lost and none is repeated: as many reach the disk as the guest made, and each block is as the model has it. */
function expectStorm(lines: readonly string[], kills: number): void {
  const storm = lines
    .map((text) => /^(\d+) kills: (\d+) writes, (\d+) reached the disk, .*, (\d+) were in flight/.exec(text))
    .find((found) => found !== null);
  expect(storm?.[1]).toBe(String(kills));
  expect(storm![3]).toBe(storm![2]);
  expect(Number(storm![4])).toBeGreaterThan(kills);
}

describe('vhost-user-bridge', () => {
  test(
    'serves a frontend, survives 50 kills under its I/O, and gives up what it does not need',
    async () => {
      const result = await boot(aloneScript(50));
      const lines = shown(result);
      expectStorm(lines, 50);
      expect(lines).toEqual(
        expect.arrayContaining([
          'what one queue writes another reads',
          'killed and started again, the bridge has the request answered that was made meanwhile',
          'memory is added and removed while the rings run',
          'the whole table of memory again, while the rings run',
          'what the device writes is in the dirty log, and only while it is wanted',
          'a write cache that the guest turned off stays off when the bridge is restarted',
          'status, and the resets',
          'the frontend is told that the disk grew',
          'a disk that is read-only is not written',
        ]),
      );
      expect(result.output).toMatch(/^Uid:\t65534\t65534\t65534\t65534$/m);
      expect(result.output).toMatch(/^Gid:\t105\t105\t105\t105$/m);
      expect(result.output).toMatch(/^CapEff:\t0+$/m);
      expect(result.output).toMatch(/^NoNewPrivs:\t1$/m);
      expect(result.output).toMatch(/^Seccomp:\t2$/m);
      expect(result.output).toMatch(/\/dev\/loop0 is in use/);
      expect(result.output).toMatch(/\/dev\/null is neither a block device nor a regular file/);
    },
    BOOT_MS,
  );

  describe.each(qemus)('with stock QEMU $version', ({ version, suite, kills }) => {
    let image: string;

    beforeAll(async () => {
      image = await qemuImage(suite, log);
    }, PREPARE_MS);

    test(
      'serves a driver over qtest, is killed under its I/O, and boots a disk',
      async () => {
        const result = await boot(qemuScript('vda', kills), [image]);
        const lines = shown(result);
        expect(result.output).toMatch(new RegExp(`^@@qemu ${version.replace('.', '\\.')}\\.`, 'm'));
        expectStorm(lines, kills);
        expect(lines).toEqual(
          expect.arrayContaining([
            'what one queue writes another reads',
            'flush, and the serial',
            'write zeroes and discard',
            'the driver resets the device and starts it again',
            'killed and started again, the bridge has the request answered that was made meanwhile',
          ]),
        );
        expect(result.output).toContain('boot: what was written was read');
      },
      BOOT_MS,
    );
  });
});
