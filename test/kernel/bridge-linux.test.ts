import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type BootResult, bootKernel, initramfs } from './boot.ts';
import { BRIDGE, qemuImage, Workshop } from './bridge.ts';
import { end } from './bridge-guest.ts';
import * as inner from './bridge-linux-guest.ts';
import type { BuiltSource } from './build.ts';
import { kernelLines } from './lines.ts';
import { type Prepared, prepareKernel, prepareLine, prepareModule } from './prepare.ts';
import { dmQcow2, qcow2Files } from './qcow2-guest.ts';
import { splat } from './run-checks.ts';

const PREPARE_MS = 60 * 60_000;
// A guest inside an emulated guest: some minutes on a quiet machine.
const BOOT_MS = 40 * 60_000;

const log = (text: string) => console.log(`[bridge] ${text}`);
const line = kernelLines.find(({ line }) => line === '6.12')!;

let workshop: Workshop;
let prepared: Prepared;
let qcow2: BuiltSource;
let emptyImage: Buffer;

beforeAll(async () => {
  prepared = await prepareLine(line, log);
  qcow2 = (await prepareModule(dmQcow2, line, log)).built;
  workshop = Workshop.open((await prepareKernel(line, log)).target.root);
  await workshop.make(BRIDGE, 'STATIC=1');
  const folder = mkdtempSync(join(tmpdir(), 'blkfleet-image-'));
  const file = join(folder, 'empty.qcow2');
  execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', file, String(inner.SECTORS * 512)]);
  emptyImage = readFileSync(file);
  rmSync(folder, { recursive: true });
}, PREPARE_MS);

afterAll(() => workshop?.remove());

/** What the inner guest runs, as its initial RAM disk. */
function innerDisk(grows: boolean): Buffer {
  const { image } = prepared;
  const modules = inner.innerModules.filter((name) => image.hasModule(name));
  return initramfs({ kernel: image, modules, script: inner.innerScript(grows) });
}

function boot(script: string, image: string): Promise<BootResult> {
  const kernel = prepared.image;
  const modules = ['virtio_pci', 'virtio_blk', 'loop', 'dm_mod', 'crc32c_generic', 'ext4', 'overlay'];
  return bootKernel({
    kernel,
    modules: modules.filter((name) => kernel.hasModule(name)),
    files: [
      { path: 'vhost_blk.ko', data: prepared.built.module },
      ...qcow2Files(qcow2),
      { path: 'image.qcow2', data: emptyImage },
      { path: 'sbin/vhost-user-bridge', data: workshop.read('vhost-user-bridge'), mode: 0o755 },
      { path: 'inner/vmlinuz', data: readFileSync(kernel.vmlinuz) },
      { path: 'inner/growing', data: innerDisk(true) },
      { path: 'inner/steady', data: innerDisk(false) },
    ],
    script: `insmod /vhost_blk.ko || exit 1
mkdir -p /etc
echo 'nobody:x:65534:65534::/:/bin/sh' >/etc/passwd
echo 'kvm:x:105:' >/etc/group
${script}${end}`,
    // Without what finds bugs of the outer kernel: bridge.test.ts looks for those, and each makes the inner guest slower.
    memoryMb: 3072,
    readOnlyDisks: [image],
    timeoutMs: BOOT_MS,
  });
}

/** What was told behind @@, of a run without any complaint. */
function told(result: BootResult): string[] {
  expect(result.console.split('\n').filter((text) => splat.test(text))).toEqual([]);
  expect(result.exit, `${result.ended}\n${result.output}`).toBe(0);
  expect(result.output).toContain('@@unloaded');
  return result.output
    .split('\n')
    .filter((text) => text.startsWith('@@'))
    .map((text) => text.slice(2));
}

/** The guest saw its disk as it is, and each file that it read was as it had been written. */
function expectWhole(lines: readonly string[], restarts: number): void {
  expect(lines).toEqual(
    expect.arrayContaining([
      `sectors ${inner.SECTORS}`,
      `queues ${inner.QUEUES}`,
      'verified 8',
      'trimmed',
      'done',
    ]),
  );
  const [, count] = /^restarts (\d+)$/.exec(lines.find((text) => text.startsWith('restarts')) ?? '') ?? [];
  expect(Number(count)).toBeGreaterThanOrEqual(restarts);
}

describe('a Linux guest of stock QEMU on the bridge', () => {
  let image: string;
  beforeAll(async () => {
    image = await qemuImage('trixie', log);
  }, PREPARE_MS);

  test(
    'over loop: its files are whole though the bridge is killed, the disk grows, trimming frees the file',
    async () => {
      const lines = told(await boot(inner.loopScript('vda'), image));
      expectWhole(lines, inner.ROUNDS / 2);
      expect(lines).toEqual(expect.arrayContaining([`grown ${inner.GROWN_SECTORS}`, 'shrunk']));
    },
    BOOT_MS,
  );

  test(
    'over dm-qcow2: its files are whole though the bridge is killed, and the image is sound',
    async () => {
      const lines = told(await boot(inner.qcow2Script('vda'), image));
      expectWhole(lines, inner.ROUNDS / 2);
      expect(lines).toContain('sound');
    },
    BOOT_MS,
  );

  test(
    'is migrated to a second QEMU while it writes',
    async () => {
      const lines = told(await boot(inner.migrationScript('vda'), image));
      const [, before] =
        /^migrated behind round (\d+)$/.exec(lines.find((text) => text.startsWith('migrated')) ?? '') ?? [];
      expect(Number(before)).toBeGreaterThanOrEqual(2);
      expect(Number(before)).toBeLessThan(inner.ROUNDS);
      expect(lines).toEqual(expect.arrayContaining(['verified 8', 'trimmed', 'done']));
    },
    BOOT_MS,
  );
});

describe('a Linux guest of libvirt on the bridge', () => {
  let image: string;
  beforeAll(async () => {
    const libvirt = ['libvirt-daemon', 'libvirt-daemon-driver-qemu', 'libvirt-clients'];
    image = await qemuImage('trixie', log, libvirt);
  }, PREPARE_MS);

  test(
    'as a disk of type vhostuser: its files are whole though the bridge is killed',
    async () => {
      expectWhole(told(await boot(inner.libvirtScript('vda'), image)), inner.ROUNDS / 2);
    },
    BOOT_MS,
  );
});
