import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { shellQuote } from '../../src/lib/shell.ts';
import { converge, declare, paths, planFor, qemuRoots, rootFolder, warnings } from './qemu-roots.ts';
import { type ChrootHost, chrootHost } from './run-steps.ts';

const CONF = '/etc/qemu/qemu.conf';
const QEMU = '/usr/bin/qemu-system-x86_64';
const DISK = '-blockdev driver=null-co,node-name=n -device virtio-blk-pci,drive=n,id=mine';
/** A /dev of its own, where /dev/vhost-blk can be made; it is looked at, not opened. */
const OWN_DEV = `umount -l "$root/dev"; mount -t tmpfs tmpfs "$root/dev"
for n in 'null 1 3' 'zero 1 5' 'urandom 1 9' 'vhost-blk 1 3'; do set -- $n; mknod -m 666 "$root/dev/$1" c $2 $3; done
ln -s /proc/self/fd "$root/dev/fd"`;

describe.each(qemuRoots)('QEMU $qemu of Debian $suite', (root) => {
  const folder = { of: '' };
  const hosts: ChrootHost[] = [];
  let host: ChrootHost;
  beforeAll(async () => {
    folder.of = await rootFolder(root);
  });
  const made = (mounts = '') => {
    const fresh = chrootHost(folder.of, mounts);
    hosts.push(fresh);
    return fresh;
  };
  beforeEach(() => {
    host = made();
  });
  afterEach(() => {
    for (const old of hosts.splice(0)) old.remove();
  });

  function place(path: string, text: string, mode = 0o644, on = host): void {
    const file = join(on.upper, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, Buffer.from(text, 'latin1'));
    chmodSync(file, mode);
  }

  /** Asks a QEMU that is started by this command line, stopped, for properties of what it has. */
  async function asked(
    command: string,
    questions: readonly [string, string][],
    on = host,
  ): Promise<unknown[]> {
    const lines = [
      { execute: 'qmp_capabilities' },
      ...questions.map(([path, property], index) => ({
        execute: 'qom-get',
        id: index,
        arguments: { path, property },
      })),
      { execute: 'quit' },
    ].map((line) => shellQuote(JSON.stringify(line)));
    const { text } = await on.run(
      `cd /; printf '%s\\n' ${lines.join(' ')} | timeout 60 ${command} -S -display none -qmp stdio`,
    );
    const replies = text
      .split('\n')
      .filter((line) => line.includes('"id": '))
      .map((line) => JSON.parse(line) as { id: number; return: unknown });
    expect(replies.length, text).toBe(questions.length);
    return replies.map((reply) => reply.return);
  }
  const direct = (args: string) => `${QEMU} -M q35 -m 64 -smp 3 -accel tcg ${args}`;
  const mine = '/machine/peripheral/mine';

  test('plan writes nothing; applied, QEMU sees it; a second apply has nothing to do; absent gives all back', async () => {
    const foreign =
      '# mine \xe9\n[global]\n  driver = "VGA"\n  property = "vgamem_mb"\n  value = "32"\n# end';
    place(CONF, foreign, 0o640);
    const input = declare({ queues: 2, queue_size: 512, discard: 'ignore' });
    const first = await planFor(host, input);
    expect('changes' in first && first.changes.find(({ path }) => path.endsWith('queue-size'))).toMatchObject(
      {
        from: '256',
        to: '512',
        reason: expect.stringContaining(`QEMU ${root.qemu}`),
      },
    );
    expect((await host.run('ls /etc/blkfleet /var/lib/blkfleet')).rc).not.toBe(0);
    const { after } = await converge(host, input);
    expect(after).toMatchObject({
      guestVisible: { 'virtio-blk-pci num-queues': '2', 'virtio-blk-pci queue-size': '512' },
    });
    const questions = ['num-queues', 'queue-size', 'discard'].map((name): [string, string] => [mine, name]);
    expect(await asked(direct(DISK), questions)).toEqual([2, 512, false]);
    await converge(host, declare({ state: 'absent' }));
    const left = await host.run(
      `cat ${CONF}; stat -c ' %a' ${CONF}; ls -d /etc/blkfleet /var/lib/blkfleet 2>&1`,
    );
    expect(left.stdout.toString('latin1')).toMatch(/^# mine \xe9[\s\S]*# end 640\nls: [\s\S]*ls: /);
    expect(left.stdout.toString('latin1').startsWith(foreign)).toBe(true);
  });

  test('a hand edit is drift, with what QEMU sees of it', async () => {
    const input = declare({ queue_size: 512 });
    await converge(host, input);
    await host.run(`sed -i 's/"512"/"64"/' ${CONF}`);
    const drift = await planFor(host, input);
    expect(paths(drift)).toEqual([CONF, `${QEMU} virtio-blk-pci.queue-size`]);
    expect('changes' in drift && drift.changes[1]).toMatchObject({ from: '64', to: '512' });
    await converge(host, input);
  });

  test('a declared disk: its command line is told and makes the disk that the profile says', async () => {
    await host.run('truncate -s 1M /srv/web1.img; mkdir -p /etc/blkfleet');
    const input = declare({
      queues: 4,
      aio: 'threads',
      cache: 'writeback',
      disks: [{ name: 'web1', source: '/srv/web1.img' }],
    });
    const { after } = await converge(host, input);
    const [note = ''] = 'notes' in after ? (after.notes ?? []) : [];
    expect(note).toContain('disk web1 by virtio-blk (no QEMU here has vhost-blk-pci; the bridge');
    const command = note.split('\n')[1]!.replace('accel=kvm:tcg', 'accel=tcg').replace('-nographic', '');
    const at = '/machine/peripheral/web1-device';
    expect(
      await asked(command, [
        [at, 'num-queues'],
        [at, 'drive'],
      ]),
    ).toEqual([4, 'web1']);
    if (root.qemu === '7.2') expect(command).not.toContain('iothread-vq-mapping');
    else
      expect(await asked(command, [[at, 'iothread-vq-mapping']])).toEqual([
        [{ iothread: 'web1-io0' }, { iothread: 'web1-io1' }],
      ]);
    // One that is not declared any more goes.
    const { before } = await converge(host, declare({ queues: 4, aio: 'threads', cache: 'writeback' }));
    expect(paths(before)).toEqual(['/etc/blkfleet/qemu/disks/web1.conf']);
  });

  test('where the bridge and the module are, it is the data path', async () => {
    const bridged = made(OWN_DEV);
    place('/usr/lib/systemd/system/vhost-blk@.service', '[Service]\n', 0o644, bridged);
    place('/etc/blkfleet/disks.d/web1.conf', '# a disk\ndisk = /dev/vg/web1\nqueues = 4\n', 0o644, bridged);
    const input = declare({
      queues: 3,
      queue_size: 128,
      disks: [
        { name: 'web1', source: '/dev/vg/web1' },
        { name: 'db', source: '/dev/vg/db' },
      ],
    });
    const { after } = await converge(bridged, input);
    const notes = 'notes' in after ? (after.notes ?? []) : [];
    expect(notes[0]).toContain('disk web1 by vhost-user-blk (the bridge to vhost_blk is installed');
    expect(warnings(after).join('\n')).toContain('systemd is not the running init there');
    const link = await bridged.run(
      `readlink /etc/blkfleet/qemu/disk.conf; cat /etc/blkfleet/disks.d/*.conf; ls /etc/systemd/system/multi-user.target.wants
cat /etc/blkfleet/qemu/disks/web1.conf`,
    );
    expect(link.text).toMatch(
      /^vhost-user-blk\.conf\n# Part of blkfleet, .*\ndisk = \/dev\/vg\/db\ndiscard = yes\n# a disk\ndisk = \/dev\/vg\/web1\nqueues = 4\n/,
    );
    expect(link.text).toContain('vhost-blk@db.service\nvhost-blk@web1.service\n');
    expect(link.text).toContain('path = "/run/vhost-blk/web1.sock"');
    // QEMU takes the fragment as it stands: it goes as far as the socket that nobody listens on.
    const tried = await bridged.run(
      `mkdir -p /run/vhost-blk; timeout 20 ${notes[0]!.split('\n')[1]!.replace('kvm:tcg', 'tcg')} -S </dev/null 2>&1 | head -5`,
    );
    expect(tried.text).toMatch(/web1\.sock.*No such file|Failed to connect.*web1\.sock/);
  });

  test.each([
    [
      'a version that nobody tried',
      's/"major": [0-9]*/"major": 12/',
      /12\.\d+\.\d+, and >=5\.2 <12 is accepted/,
    ],
    ['an answer that makes no sense', 's/"return": 256/"return": "many"/', /queue-size is not understood/],
    ['no answer to a question', '/"id": "chardev"/d', /-chardev is not understood/],
  ])('a QEMU that gives %s is refused, and nothing is written', async (_, edit, message) => {
    place('/opt/qemu', `#!/bin/sh\n${QEMU} "$@" | sed -u '${edit}'\n`, 0o755);
    const refused = await planFor(host, declare({ binaries: ['/opt/qemu'] }));
    expect(refused).toMatchObject({
      status: 'blocked',
      code: 'E_BLOCKED',
      message: expect.stringMatching(message),
    });
  });

  afterAll(() => {
    for (const old of hosts.splice(0)) old.remove();
  });
});
