import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  closeSync,
  constants,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { cli } from './harness/cli.ts';
import { createFleet, type Fleet } from './harness/fleet.ts';

const MIB = 2 ** 20;

let fleet: Fleet;
let folder: string;
let attached: string[] = [];
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'blkfleet-bench-'));
  fleet = await createFleet({ count: 1 });
});
afterEach(() => {
  for (const device of attached) run('losetup', '-d', device);
  attached = [];
});
afterAll(async () => {
  await fleet?.destroy();
  rmSync(folder, { recursive: true, force: true });
});

function run(program: string, ...args: string[]): string {
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${program} ${args.join(' ')}: ${stderr}`);
  return stdout.trim();
}

/** A loop device of this machine that the host sees, too. */
function disk(
  prepare: (file: string) => void = () => {},
  ...options: string[]
): { device: string; file: string } {
  const file = join(folder, 'disk');
  rmSync(file, { force: true });
  writeFileSync(file, '');
  truncateSync(file, 32 * MIB);
  prepare(file);
  const device = run('losetup', '--find', '--show', ...options, file);
  attached.push(device);
  node(device);
  return { device, file };
}

/** Its node in the host's /dev. */
function node(device: string): void {
  const [major, minor] = readFileSync(`/sys/class/block/${device.slice(5)}/dev`, 'utf8')
    .trim()
    .split(':');
  const made = fleet.host('hv01').exec(['sh', '-c', `rm -f ${device}; mknod ${device} b ${major} ${minor}`]);
  if (made.status !== 0) throw new Error(made.stderr);
}

const bench = (...args: string[]) => cli(fleet, ['bench', '-i', fleet.inventoryFile, '--yes', ...args]);
const sum = (file: string) => createHash('sha256').update(readFileSync(file)).digest('hex');

/** Version 1.2 of md's superblock, as far as libblkid looks at it (drivers/md: struct mdp_superblock_1). */
function raidMember(file: string): void {
  const bytes = readFileSync(file);
  bytes.writeUInt32LE(0xa92b4efc, 4096);
  bytes.writeUInt32LE(1, 4100);
  bytes.writeBigUInt64LE(8n, 4096 + 144);
  writeFileSync(file, bytes);
}

describe('a disk that is not empty and free is left alone', () => {
  it.for<[string, (file: string) => void, RegExp, string[]]>([
    ['a file system', (file) => run('mkfs.ext4', '-q', file), /it holds data: ext4/, []],
    ['swap space', (file) => run('mkswap', '-q', file), /it holds data: swap/, []],
    ['a member of a RAID', raidMember, /it holds data: linux_raid_member/, []],
    [
      'a partition table',
      (file) => run('sh', '-c', `printf 'label: gpt\\nsize=8MiB\\n' | sfdisk -q ${file}`),
      /it holds data: gpt/,
      ['--partscan'],
    ],
    ['read-only', () => {}, /it is read-only/, ['--read-only']],
    ['too small', (file) => truncateSync(file, 8 * MIB), /it is smaller than 16 MiB/, []],
  ])('%s', async ([, prepare, reason, options]) => {
    const { device, file } = disk(prepare, ...options);
    const before = sum(file);
    const { status, stderr, stdout } = await bench('--disk', device);
    expect(stderr).toMatch(reason);
    // Kernels without support of GPT see none.
    expect(stderr.includes('it has partitions')).toBe(existsSync(`/sys/class/block/${device.slice(5)}p1`));
    expect([status, stdout]).toEqual([3, '']);
    expect(sum(file)).toBe(before);
  });

  it('one that somebody has for himself: a file system that is mounted elsewhere, a program', async () => {
    const { device } = disk();
    const held = openSync(device, constants.O_RDONLY | constants.O_EXCL);
    try {
      const { status, stderr } = await bench('--disk', device);
      expect(stderr).toContain('it is in use: Device or resource busy');
      expect(status).toBe(3);
    } finally {
      closeSync(held);
    }
  });

  it('one that is mounted there is told where', async () => {
    const { device } = disk((file) => run('mkfs.ext4', '-q', file));
    const host = fleet.host('hv01');
    expect(host.exec(['mount', device, '/srv']).status).toBe(0);
    try {
      const { status, stderr } = await bench('--disk', device);
      expect(stderr).toMatch(/it is mounted on \/srv/);
      expect(status).toBe(3);
    } finally {
      host.exec(['umount', '/srv']);
    }
  });

  it.for(['/dev/null', '/dev/no-such-disk'])('%s is no block device', async (device) => {
    const { status, stderr } = await bench('--disk', device);
    expect(stderr).toContain('there is no such block device');
    expect(status).toBe(3);
  });

  it('without --yes and without a terminal nothing is asked of the host', async () => {
    const { status, stderr } = await cli(fleet, ['bench', '-i', fleet.inventoryFile, '--disk', '/dev/sdz']);
    expect(stderr).toContain('say --yes');
    expect(status).toBe(64);
  });
});

it('an empty disk is taken, and what the host lacks is named with its package', async () => {
  const { device, file } = disk();
  const before = sum(file);
  const { status, stderr } = await bench('--disk', device);
  expect(stderr).toMatch(/hv01.*fio is not installed there/);
  expect(stderr).toContain('apt-get install fio');
  expect(status).toBe(3);
  expect(sum(file)).toBe(before);
});
