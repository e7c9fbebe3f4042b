import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { fetchSource } from '../../src/lab/debian/package.ts';
import type { BootResult } from './boot.ts';
import { kernelLines } from './lines.ts';
import { prepareModule } from './prepare.ts';
import { runLogged } from './process.ts';
import { dmQcow2, splatsOf } from './qcow2-guest.ts';
import { serveFolder } from './qcow2-iotests-guest.ts';
import { long } from './run-checks.ts';
import { showTable } from './table.ts';

const PREPARE_MS = 30 * 60_000;
const RUN_MS = 40 * 60_000;

// Of QEMU 7.2: shell scripts that pass with the packaged programs and do plain I/O on the image.
const quick = [
  ...['004', '005', '009', '010', '011', '012', '015', '017', '018', '019', '021', '024', '027', '032'],
  ...[
    '034',
    '035',
    '037',
    '038',
    '046',
    '047',
    '048',
    '050',
    '052',
    '053',
    '058',
    '062',
    '063',
    '066',
    '072',
  ],
  ...['073', '074', '086', '089', '090', '097', '098', '103', '105', '107', '121', '170', '177', '187'],
];
// Hundreds of mebibytes, or of calls.
const slow = ['001', '002', '003', '008', '013', '014', '025', '112', '154'];
const numbers = long ? [...quick, ...slow] : quick;

const qemuIo = fileURLToPath(new URL('iotests/qemu-io.sh', import.meta.url));
const find = (program: string) =>
  execFileSync('sh', ['-c', `command -v ${program}`], { encoding: 'utf8' }).trim();

/** The release of this machine, whose qemu-utils are what the tests run. */
function ownSuite(): string {
  return /^VERSION_CODENAME=(\w+)$/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? 'bookworm';
}

/**
 * How the calls of qemu-io of a test were done: by way of the device, by QEMU itself, or, where the image could not be attached,
 * by QEMU, which could open it (refused) or not (agreed).
 */
type Calls = Record<'device' | 'itself' | 'refused' | 'agreed', number>;

function readCalls(log: string): Map<string, Calls> {
  const found = new Map<string, Calls>();
  for (const [, name, way] of log.matchAll(/^(\S+)\t(device|itself|refused|agreed)\t/gm)) {
    const calls = found.get(name!) ?? { device: 0, itself: 0, refused: 0, agreed: 0 };
    calls[way as keyof Calls]++;
    found.set(name!, calls);
  }
  return found;
}

describe("QEMU's own tests of qcow2, their I/O by way of dm-qcow2", () => {
  let folder: string;
  let result: BootResult;
  let output = '';
  let calls: Map<string, Calls>;

  beforeAll(async () => {
    const log = (text: string) => console.log(text);
    // In memory, if there is such a folder: tests sync again and again.
    folder = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'blkfleet-iotests-'));
    const source = await fetchSource({ suite: ownSuite(), name: 'qemu' }, log);
    const tests = ['--wildcards', '--strip-components=1', '*/tests/qemu-iotests'];
    execFileSync('tar', ['-xf', source, '-C', folder, ...tests]);
    const scratch = join(folder, 'scratch');
    mkdirSync(scratch);
    const line = kernelLines.find(({ line }) => line === '6.12')!;
    const prepared = await prepareModule(dmQcow2, line, log);
    const guest = await serveFolder(prepared, scratch, { timeoutMs: RUN_MS });
    try {
      for (const port of guest.ports) await greeted(port, guest.ended);
      await runLogged([join(folder, 'tests/qemu-iotests/check'), '-qcow2', '-j', '3', ...numbers], {
        cwd: join(folder, 'tests/qemu-iotests'),
        output: join(folder, 'output'),
        timeoutMs: RUN_MS,
        env: {
          ...process.env,
          TEST_DIR: scratch,
          QEMU_PROG: find('qemu-system-x86_64'),
          QEMU_IMG_PROG: find('qemu-img'),
          QEMU_NBD_PROG: find('qemu-nbd'),
          // No test of these uses it.
          QSD_PROG: find('qemu-nbd'),
          QEMU_IO_PROG: qemuIo,
          BLKFLEET_QEMU_IO: find('qemu-io'),
          BLKFLEET_PORTS: guest.ports.join(' '),
          BLKFLEET_LOG: join(folder, 'calls'),
        },
      });
    } finally {
      for (const port of guest.ports) {
        const end = `qemu-io -r -f raw -c quit nbd://127.0.0.1:${port}/end`;
        execFileSync('sh', ['-c', `${end} 2>/dev/null || :`]);
      }
      result = await guest.ended;
    }
    output = readFileSync(join(folder, 'output'), 'utf8');
    calls = readCalls(readFileSync(join(folder, 'calls'), 'utf8'));
  }, PREPARE_MS + RUN_MS);

  afterAll(() => {
    rmSync(folder, { recursive: true, force: true });
    const count = (way: keyof Calls) => [...(calls ?? [])].reduce((sum, [, one]) => sum + one[way], 0);
    showTable(
      "QEMU's iotests by way of dm-qcow2",
      `${numbers.filter(passed).length} of ${numbers.length} pass; calls of qemu-io by way of the device: ` +
        `${count('device')}, by itself: ${count('itself')}; ${Math.round(result?.seconds ?? 0)} s`,
    );
  });

  const passed = (name: string) => new RegExp(`^${name} .*\\bpass\\b`, 'm').test(output);

  test.each(numbers)('%s', (name) => {
    expect(passed(name), output.slice(-20_000)).toBe(true);
    expect(calls.get(name)?.device).toBeGreaterThan(0);
    expect(calls.get(name)?.refused).toBe(0);
  });

  test('leave the kernel clean, and the module unloads', () => {
    expect(splatsOf(result.console)).toEqual([]);
    expect(result.output).toContain('@@unloaded');
  });
});

/** Waits until the guest serves. */
async function greeted(port: number, ended: Promise<BootResult>): Promise<void> {
  let isOver = false;
  void ended.finally(() => {
    isOver = true;
  });
  while (!isOver) {
    const isThere = await new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1');
      socket.once('data', () => resolve(true));
      for (const event of ['error', 'close']) socket.once(event, () => resolve(false));
      setTimeout(() => socket.destroy(), 2000).unref();
      socket.once('data', () => socket.destroy());
    });
    if (isThere) return;
    await sleep(300);
  }
  const { output, console } = await ended;
  throw new Error(`the guest does not serve: ${output.slice(-2000)}${console.slice(-2000)}`);
}
