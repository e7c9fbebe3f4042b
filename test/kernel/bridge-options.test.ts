import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BRIDGE, Workshop } from './bridge.ts';
import { kernelLines } from './lines.ts';
import { prepareKernel } from './prepare.ts';

const PREPARE_MS = 60 * 60_000;
const RUN_MS = 60_000;

const log = (line: string) => console.log(`[bridge] ${line}`);
const docs = readFileSync('docs/vhost_user_bridge.md', 'utf8');

// The oldest compiler and headers that a host may have, and newer ones.
describe.each(['5.10', '6.12'])('vhost-user-bridge, built beside Linux %s', (name) => {
  let workshop: Workshop;

  beforeAll(async () => {
    const line = kernelLines.find(({ line }) => line === name)!;
    workshop = Workshop.open((await prepareKernel(line, log)).target.root);
    await workshop.make(BRIDGE, 'all');
  }, PREPARE_MS);

  afterAll(() => workshop?.remove());

  const run = (words: string) => workshop.run(`out/vhost-user-bridge ${words}`, RUN_MS);

  test.each([
    ['', 'there is no disk: see --help'],
    ['--disk /dev/null', 'there is no socket: see --help'],
    ['--disk /dev/null --socket /tmp/s --queues 65', "queues is '65': expected a number from 1 to 64"],
    ['--disk /dev/null --socket /tmp/s --queues -1', "queues is '-1': expected a number from 1 to 64"],
    ['--disk /dev/null --socket /tmp/s --queues 4x', "queues is '4x': expected a number from 1 to 64"],
    ['--disk /dev/null --socket /tmp/s --read-only maybe', "read-only is 'maybe': expected yes or no"],
    ['--disk /dev/null --socket /tmp/s --serial 123456789012345678901', 'serial is longer than 20 bytes'],
    ['--disk /dev/null --socket /tmp/s more', "'more' is too much: see --help"],
    ['--disk /dev/null --socket /tmp/s --group kvm', 'there is a group and no user'],
    ['--name ../etc/passwd', "'../etc/passwd' is no name: letters, digits and ._-:@+, 64 at most"],
    ['--name vm1', '/etc/blkfleet/disks.d/vm1.conf: No such file or directory'],
  ])('%s', async (words, said) => {
    const { code, output } = await run(words);
    expect(output).toContain(said);
    expect(code).not.toBe(0);
  });

  test('a file is read line by line, and a mistake is said with its line', async () => {
    const file = join(workshop.folder, 'disk.conf');
    writeFileSync(file, '# a disk\n\n disk = /dev/null \nsocket=/tmp/s\ndevice = /nowhere\n');
    expect((await run('--config disk.conf')).output).toContain('/nowhere: No such file or directory');
    writeFileSync(file, 'disk = /dev/null\nqueues = many\n');
    expect((await run('--config disk.conf')).output).toContain("disk.conf:2: queues is 'many'");
    writeFileSync(file, 'disk = /dev/null\n\nqueue = 4\n');
    expect((await run('--config disk.conf')).output).toContain("disk.conf:3: there is no 'queue'");
    writeFileSync(file, 'queues = 2\ndisk = /dev/null\0.raw\n');
    expect((await run('--config disk.conf')).output).toContain('disk.conf:2: a byte of zero');
    writeFileSync(file, 'disk /dev/null\n');
    expect((await run('--config disk.conf')).output).toContain('disk.conf:1: expected KEY = VALUE');
  });

  test('--help tells every key, and the documentation each of them', async () => {
    const { code, output } = await run('--help');
    expect(code).toBe(0);
    const keys = [...output.matchAll(/^ {2}--([a-z-]+)/gm)].map((found) => found[1]!);
    expect(keys.length).toBeGreaterThan(10);
    const rows = docs.split('\n').filter((text) => text.startsWith('| `'));
    const told = rows.flatMap((row) =>
      [...row.split('|')[1]!.matchAll(/`([a-z-]+)`/g)].map((found) => found[1]!),
    );
    expect(keys.filter((key) => key !== 'config' && !told.includes(key))).toEqual([]);
  });
});
