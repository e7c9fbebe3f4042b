import { existsSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { LabStatus } from '../../src/lab/commands.ts';
import { isAlive } from '../setup/process-state.mjs';
import { expectBench } from './bench.ts';
import { expectGuest, expectGuestGone } from './guest.ts';
import { blkfleet, type Ended, start } from './program.ts';
import { applyDisk, expectDisk, fillDisk } from './qcow2-device.ts';

const name = 'quickstart-test';
const lab = (...args: readonly string[]) => blkfleet('lab', args[0]!, '--name', name, ...args.slice(1));
const inLab = async (script: string) => lab('ssh', '--', script);
const status = async (): Promise<LabStatus> => JSON.parse((await lab('status', '--json')).stdout);

let quickstart: Ended;

beforeAll(async () => {
  // What an earlier run that was killed left.
  if (existsSync('dist/cli.js')) await lab('destroy');
  quickstart = await start(['npm', 'run', 'quickstart', '--', '--name', name]).ended;
  console.log(quickstart.text.split('\n').slice(-30).join('\n'));
}, 2_400_000);

afterAll(async () => {
  await lab('destroy');
}, 120_000);

test('ends with 0, and its second run changes nothing', () => {
  expect(quickstart.status, quickstart.text).toBe(0);
  const [first, second] = ['first', 'second'].map(
    (run) => new RegExp(`^ {2}${run} +hosts (.*)$`, 'm').exec(quickstart.text)?.[1],
  );
  expect(first).toMatch(/^ok: 0, changed: 1, failed: 0, unreachable: 0; (\d+) of \1 tasks changed/);
  expect(second).toMatch(/^ok: 1, changed: 0, failed: 0, unreachable: 0; 0 of \d+ tasks changed/);
  // The summaries of the two applies themselves.
  expect(quickstart.text.match(/^hosts: 1 .* changed: \d/gm)).toHaveLength(2);
});

test('was never silent for long', () => {
  // Five seconds between two lines when the machine has time for us.
  expect(quickstart.silence).toBeLessThan(25);
});

test('the commands that it prints work as printed', async () => {
  const printed = [...quickstart.text.matchAll(/^ {2}(node dist\/cli\.js .*?)(?: {3,}.*)?$/gm)].map((match) =>
    match[1]!.trim().split(/\s+/),
  );
  const [ssh, down, audit, plan, apply] = printed;
  expect(printed).toHaveLength(5);
  expect(ssh).toEqual(['node', 'dist/cli.js', 'lab', 'ssh', '--name', name]);
  expect((await start([...ssh!, '--', 'sudo', '-n', 'id', '-u']).ended).stdout).toBe('0\n');
  expect(down).toEqual(['node', 'dist/cli.js', 'lab', 'down', '--name', name]);
  const audited = await start(audit!).ended;
  expect(audited.status, audited.text).toBe(0);
  // Real hosts: the example inventory must at least fit the playbook.
  expect(plan!.slice(2)).toEqual(['plan', 'playbooks/site.yaml', '-i', 'inventory.yaml']);
  expect(apply!.slice(2)).toEqual(['apply', 'playbooks/site.yaml', '-i', 'inventory.yaml']);
  const valid = await blkfleet('validate', 'playbooks/site.yaml', '-i', 'inventory.example.yaml');
  expect(valid.status, valid.text).toBe(0);
});

/** The state that the quickstart promises, looked at in the host itself. */
async function expectWholeJob(): Promise<void> {
  const seen = await inLab(
    `uname -r; lsmod | grep -wE '^(vhost_blk|dm_qcow2)'; sudo dkms status; sudo blkfleet-qcow2 status; sudo /usr/local/sbin/vhost-blk-check --quick; echo check $?;` +
      ` cat /etc/qemu/qemu.conf; cat /etc/blkfleet/qemu/disk.conf; sudo dmesg --level=emerg,alert,crit,err | grep -i vhost_blk`,
  );
  const release = seen.stdout.split('\n')[0]!;
  expect(seen.stdout).toMatch(/^vhost_blk +\d+ +0 *$/m);
  expect(seen.stdout).toMatch(/^dm_qcow2 +\d+ /m);
  const dkms = seen.stdout.split('\n').filter((line) => /^(?:vhost-blk|dm-qcow2)\//.test(line));
  expect(dkms.sort()).toEqual(
    ['dm-qcow2', 'vhost-blk'].map((name) =>
      expect.stringMatching(
        new RegExp(`^${name}/\\d[^,]*, ${release.replace(/[.+]/g, '\\$&')}, x86_64: installed$`),
      ),
    ),
  );
  expect(seen.stdout).toMatch(/^vhost-blk-check: [1-9]\d* passed, 0 failed, 0 skipped$/m);
  expect(seen.stdout).toContain('check 0\n');
  expect(seen.stdout).toMatch(/^\[global\]$/m);
  expect(seen.stdout).toMatch(/^ *driver = "virtio-blk-pci"$/m);
  expect(seen.stdout).not.toMatch(/vhost_blk:.*(?:BUG|WARNING|Oops)/);
  // The bridge is there, so disks go that way.
  expect(seen.stdout).toMatch(/^ *driver = "vhost-user-blk-pci"$/m);
  // A guest of this host that asks for nothing more than a disk gets it as declared: a queue a vCPU, no host cache.
  const ask = [
    { execute: 'qmp_capabilities' },
    { execute: 'query-block' },
    { execute: 'qom-get', arguments: { path: '/machine/peripheral/disk0-device', property: 'num-queues' } },
    { execute: 'quit' },
  ].map((command) => `'${JSON.stringify(command)}'`);
  const qemu = await inLab(
    `truncate -s 1M /tmp/disk; printf '%s\\n' ${ask.join(' ')} | timeout 120 qemu-system-x86_64 -machine q35 -smp 3` +
      ' -accel tcg -display none -nodefaults -S -qmp stdio -readconfig /etc/blkfleet/qemu/virtio-blk.conf' +
      ' -set drive.disk0.file=/tmp/disk',
  );
  expect(qemu.status, qemu.text).toBe(0);
  expect(qemu.stdout).toMatch(/"device": "disk0".*"direct": true/);
  expect(qemu.stdout).toContain('{"return": 3}');
  const audit = await blkfleet(
    'audit',
    'playbooks/site.yaml',
    '-i',
    (await status()).inventory!,
    '--format',
    'json',
  );
  expect(audit.status, audit.text).toBe(0);
  const { summary, hosts } = JSON.parse(audit.stdout);
  expect(summary).toMatchObject({ hosts: 1, ok: 1, pending: 0, failed: 0 });
  expect(hosts[0].tasks.map((task: { status: string }) => task.status)).toEqual(
    hosts[0].tasks.map(() => 'ok'),
  );
}

test(
  'both modules are built by DKMS and loaded, vhost_blk moves real data; QEMU has its drive defaults',
  expectWholeJob,
);

test('an image declared by qcow2_device is a block device, and takes a file system', async () => {
  await applyDisk((await status()).inventory!, 'boot: true');
  await fillDisk(inLab);
});

test('bench measures a RAM disk of the lab host, and leaves nothing', async () => {
  await expectBench(inLab, (await status()).inventory!);
});

test('a guest boots on vhost_blk by what the README says, word by word', async () => {
  await expectGuest(name, inLab);
});

test('all of it is there again after a reboot', async () => {
  const boot = 'cat /proc/sys/kernel/random/boot_id';
  const before = await inLab(boot);
  const reboot = await lab('reboot');
  expect(reboot.status, reboot.text).toBe(0);
  const after = await inLab(boot);
  expect(after.stdout).toMatch(/^[0-9a-f-]{36}\n$/);
  expect(after.stdout).not.toBe(before.stdout);
  await expectGuestGone(name, inLab, (await status()).inventory!);
  await expectWholeJob();
});

test("the image's files are as they were, vhost_blk serves the device, and nothing of it stays", async () => {
  await expectDisk(inLab, (await status()).inventory!);
});

test('down keeps the disk, up boots it again, QEMU runs without KVM, destroy leaves nothing', async () => {
  await inLab('echo kept | sudo tee /root/kept');
  const { pid, folder } = await status();
  const down = await lab('down');
  expect(down.status, down.text).toBe(0);
  expect(await status()).toMatchObject({ status: 'stopped', port: null, pid: null });
  expect(isAlive(pid!)).toBe(false);
  // Nothing to connect to.
  expect((await inLab('true')).status).toBe(4);

  const up = await lab('up');
  expect(up.status, up.text).toBe(0);
  expect((await inLab('sudo cat /root/kept')).stdout).toBe('kept\n');
  const now = await status();
  expect(now).toMatchObject({ status: 'running', address: '127.0.0.1', accel: 'tcg' });
  // A second `up` takes what runs.
  expect((await lab('up')).status).toBe(0);
  expect((await status()).pid).toBe(now.pid);

  expect((await lab('destroy')).status).toBe(0);
  expect(await status()).toMatchObject({ status: 'absent', pid: null, inventory: null });
  expect(existsSync(folder)).toBe(false);
  expect(isAlive(now.pid!)).toBe(false);
});
