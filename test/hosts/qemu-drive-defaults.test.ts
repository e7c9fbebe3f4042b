import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { factsScript, parseFacts } from '../../src/facts/probe.ts';
import { shellQuote } from '../../src/lib/shell.ts';
import type { Input, ResourcePlan } from '../../src/resources/kind.ts';
import { qemuDriveDefaults } from '../../src/resources/qemu_drive_defaults/index.ts';
import { type Outcome, plainFrames, planOn, type RunOptions, runSteps, type StepHost } from './run-steps.ts';

const CONF = '/etc/qemu/qemu.conf';
const FRAGMENTS = '/etc/blkfleet/qemu';
const QEMU = '/usr/bin/qemu-system-x86_64';
/** Every folder that could be written to, but those that a machine keeps in memory. */
const LAYERS = ['etc', 'usr', 'var', 'root', 'opt'];

/**
 * This machine with its real QEMU, seen from a mount namespace of its own: each folder has a writable layer over it, so
 * whatever is written lands there and nowhere else.
 */
interface LayeredHost extends StepHost {
  /** lines of sh that change the namespace, run before each script */
  mounts: string;
  /** paths of all that was ever written */
  written(): string[];
  /** puts a file into the writable layer */
  place(path: string, text: string, mode?: number): void;
  remove(): void;
}

function layeredHost(): LayeredHost {
  const base = mkdtempSync(join(process.env.BLKFLEET_TEST_DIR ?? tmpdir(), 'blkfleet-qemu-'));
  for (const name of LAYERS) {
    mkdirSync(join(base, 'upper', name), { recursive: true });
    mkdirSync(join(base, 'overlay', name), { recursive: true });
  }
  mkdirSync(join(base, 'payload'));
  const host: LayeredHost = {
    mounts: '',
    run: async (script: string, { env = {}, deadline = 120 }: RunOptions = {}): Promise<Outcome> => {
      writeFileSync(join(base, 'script'), script);
      const exports = Object.entries(env).map(([key, value]) => `${key}=${shellQuote(value)}`);
      const outer = `set -eu
mount --make-rprivate /
mount -t tmpfs tmpfs /run
mkdir /run/bf && mount --bind ${shellQuote(join(base, 'payload'))} /run/bf
cp ${shellQuote(join(base, 'script'))} /run/script
for d in ${LAYERS.join(' ')}; do
  # The upper folder takes the mode of the one below, as the merged one shows it.
  chmod --reference="/$d" ${shellQuote(base)}/upper/"$d"
  mount -t overlay overlay -o "lowerdir=/$d,upperdir=${base}/upper/$d,workdir=${base}/overlay/$d" "/$d"
done
${host.mounts}
cd /; umask 077
exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C ${exports.join(' ')} sh ${env.BF_PAYLOAD ? '-eu' : '+e'} /run/script
`;
      const result = spawnSync(
        'unshare',
        ['-m', '-p', '-f', '--kill-child', '--mount-proc', 'sh', '-c', outer],
        {
          stdio: ['ignore', 'pipe', 'pipe'],
          timeout: deadline * 1000,
          maxBuffer: 1 << 24,
        },
      );
      return {
        rc: result.status ?? 255,
        stdout: result.stdout,
        text: result.stdout.toString('latin1') + result.stderr.toString('latin1'),
        complaints: result.stderr.toString('latin1'),
      };
    },
    facts: async () => parseFacts((await host.run(factsScript)).stdout),
    put: async (sha256, bytes) => writeFileSync(join(base, 'payload', sha256), bytes),
    written: () =>
      LAYERS.flatMap((name) =>
        readdirSync(join(base, 'upper', name), { recursive: true }).map((path) => `/${name}/${path}`),
      ).sort(),
    place: (path, text, mode = 0o644) => {
      const file = join(base, 'upper', path);
      mkdirSync(join(file, '..'), { recursive: true });
      writeFileSync(file, Buffer.from(text, 'latin1'), { mode });
    },
    remove: () => rmSync(base, { recursive: true, force: true }),
  };
  return host;
}

let host: LayeredHost;
beforeEach(() => {
  host = layeredHost();
});
afterEach(() => host?.remove());

function declare(more: Record<string, unknown> = {}): Input<unknown> {
  return { desired: qemuDriveDefaults.schema.parse(more), assets: {} };
}

async function plan(input: Input<unknown>): Promise<ResourcePlan> {
  return (await planOn(host, qemuDriveDefaults, input, await host.facts())).plan;
}

/** Plans, applies, plans again; the second plan must be empty. */
async function converge(input: Input<unknown>): Promise<ResourcePlan> {
  const first = await planOn(host, qemuDriveDefaults, input, await host.facts());
  expect(first.plan.status, JSON.stringify(first.plan)).toBe('change');
  const applied = await runSteps(host, first.steps);
  expect(applied.rc, applied.text).toBe(0);
  const after = await plan(input);
  expect(after.status, JSON.stringify(after)).toBe('ok');
  return first.plan;
}

const read = async (path: string) => (await host.run(`cat ${path}`)).stdout.toString('latin1');
const paths = (plan: ResourcePlan) => ('changes' in plan ? plan.changes.map((change) => change.path) : []);
const warnings = (plan: ResourcePlan) => ('warnings' in plan ? (plan.warnings ?? []) : []);

/** What a QEMU that is started as an operator would start one sees of a disk. */
async function asked(args: string, property: string, device = 'mine'): Promise<unknown> {
  const questions = [
    { execute: 'qmp_capabilities' },
    { execute: 'qom-get', id: 'it', arguments: { path: `/machine/peripheral/${device}`, property } },
    { execute: 'quit' },
  ].map((question) => shellQuote(JSON.stringify(question)));
  const { text } = await host.run(
    `printf '%s\\n' ${questions.join(' ')} | timeout 60 ${QEMU} -S -M q35 -m 64 -smp 3 -display none -accel tcg -qmp stdio ${args}`,
  );
  const reply = text.split('\n').find((line) => line.includes('"id": "it"'));
  if (!reply) throw new Error(text);
  return (JSON.parse(reply) as { return: unknown }).return;
}

const DISK = '-blockdev driver=null-co,node-name=n -device virtio-blk-pci,drive=n,id=mine';

describe('on a host that starts QEMU itself', () => {
  test('from nothing: planned without a write, applied, seen by QEMU; then nothing to do and no QEMU started', async () => {
    const input = declare({ queues: 4, queue_size: 512, discard: 'ignore' });
    const first = await plan(input);
    expect(host.written()).toEqual([]);
    expect(paths(first)).toEqual([
      CONF,
      `${FRAGMENTS}/virtio-blk.conf`,
      `${FRAGMENTS}/vhost-user-blk.conf`,
      `${FRAGMENTS}/disk.conf`,
      `${QEMU} virtio-blk-pci.num-queues`,
      `${QEMU} virtio-blk-pci.queue-size`,
      `${QEMU} virtio-blk-pci.discard`,
      `${QEMU} virtio-blk-pci.write-cache`,
    ]);
    expect('changes' in first && first.changes[5]).toMatchObject({ from: '256', to: '512' });
    await converge(input);
    expect(await asked(DISK, 'queue-size')).toBe(512);
    expect(await asked(DISK, 'num-queues')).toBe(4);
    expect(await asked(DISK, 'discard')).toBe(false);
    expect(await asked(`-no-user-config ${DISK}`, 'queue-size')).toBe(256);

    const before = host.written();
    const again = await host.run(`${plainFrames}${qemuDriveDefaults.probe([input])}`);
    expect(again.stdout.toString()).toContain('\nsee kept\n');
    expect(host.written()).toEqual(before);
  });

  test('queues: vcpus follows each guest', async () => {
    await converge(declare());
    expect(await asked(DISK, 'num-queues')).toBe(3);
    expect(await asked(`${DISK},num-queues=2`, 'num-queues')).toBe(2);
  });

  test('the fragment of virtio-blk makes the disk that the profile declares', async () => {
    await converge(declare({ queue_size: 128, detect_zeroes: 'unmap' }));
    const args = `-readconfig ${FRAGMENTS}/disk.conf -set drive.disk0.file=/var/tmp/disk`;
    host.mounts = 'truncate -s 1M /var/tmp/disk';
    expect(await asked(args, 'queue-size', 'disk0-device')).toBe(128);
    const block = await host.run(
      `printf '%s\\n' '{"execute":"qmp_capabilities"}' '{"execute":"query-block"}' '{"execute":"quit"}' | timeout 60 ${QEMU} -S -nodefaults -M q35 -m 64 -display none -accel tcg -qmp stdio ${args}`,
    );
    const reply = block.text.split('\n').find((line) => line.includes('"inserted"'));
    expect(JSON.parse(reply ?? block.text).return[0].inserted).toMatchObject({
      cache: { direct: true, writeback: true },
      detect_zeroes: 'unmap',
    });
  });

  test('a second disk by the recipe that stands in the fragment', async () => {
    await converge(declare({ queue_size: 128 }));
    host.mounts = `truncate -s 1M /var/tmp/disk0 /var/tmp/disk1
sed 's/disk0/disk1/g' ${FRAGMENTS}/virtio-blk.conf > /run/disk1.conf`;
    const args = [0, 1].map(
      (n) =>
        `-readconfig ${n ? '/run/disk1.conf' : `${FRAGMENTS}/virtio-blk.conf`} -set drive.disk${n}.file=/var/tmp/disk${n}`,
    );
    expect(await asked(args.join(' '), 'queue-size', 'disk1-device')).toBe(128);
  });

  test('the fragment of vhost-user-blk makes a disk by a backend that serves a socket', async () => {
    await converge(declare({ queues: 2, queue_size: 128, data_path: 'vhost-user-blk' }));
    host.mounts = `qemu-storage-daemon --blockdev driver=null-co,node-name=n,size=1048576 --export type=vhost-user-blk,id=e,node-name=n,addr.type=unix,addr.path=/run/disk.sock,num-queues=8 &
for i in $(seq 200); do [ -S /run/disk.sock ] && break; sleep 0.1; done`;
    const args = `-readconfig ${FRAGMENTS}/disk.conf -set chardev.disk0.path=/run/disk.sock -set chardev.disk0.reconnect=1 -object memory-backend-memfd,id=ram,size=64M,share=on -machine memory-backend=ram`;
    expect(await asked(args, 'num-queues', 'disk0-device')).toBe(2);
    expect(await asked(args, 'queue-size', 'disk0-device')).toBe(128);
  });

  test('a hand edit is drift with its line, and what QEMU sees of it; apply mends just that', async () => {
    await converge(declare({ queue_size: 512 }));
    await host.run(`sed -i 's/"512"/"64"/' ${CONF}`);
    const drift = await plan(declare({ queue_size: 512 }));
    expect(paths(drift)).toEqual([CONF, `${QEMU} virtio-blk-pci.queue-size`]);
    expect('changes' in drift && drift.changes[0]!.diff).toMatch(/^-.*"64"$/m);
    expect('changes' in drift && drift.changes[1]).toMatchObject({ from: '64', to: '512' });
    await converge(declare({ queue_size: 512 }));
    expect(await asked(DISK, 'queue-size')).toBe(512);
    await host.run(`sed -i 's/cache = "none"/cache = "unsafe"/' ${FRAGMENTS}/virtio-blk.conf`);
    const other = await plan(declare({ queue_size: 512 }));
    expect(paths(other)).toEqual([`${FRAGMENTS}/virtio-blk.conf`]);
    expect('changes' in other && other.changes[0]!.diff).toMatch(/^-.*"unsafe"$/m);
    await converge(declare({ queue_size: 512 }));
  });

  test('a hand edit that keeps QEMU from starting is mended', async () => {
    await converge(declare());
    await host.run(`sed -i '3s/.*/  driver "broken/' ${CONF}`);
    expect((await plan(declare())).status).toBe('change');
    await converge(declare());
  });

  test('another profile changes what QEMU sees; steps run twice do no harm', async () => {
    await converge(declare({ queue_size: 512 }));
    const { steps } = await planOn(host, qemuDriveDefaults, declare({ queue_size: 64 }), await host.facts());
    expect((await runSteps(host, steps)).rc).toBe(0);
    expect((await runSteps(host, steps)).rc).toBe(0);
    expect(await asked(DISK, 'queue-size')).toBe(64);
    expect((await plan(declare({ queue_size: 64 }))).status).toBe('ok');
  });
});

describe('lines of others', () => {
  const FOREIGN =
    '# mine \xe9\n[global]\n  driver = "VGA"\n  property = "vgamem_mb"\n  value = "32"\n# no line break at the end';

  test('stay byte for byte through present, change and absent', async () => {
    host.place(CONF, FOREIGN, 0o640);
    await converge(declare({ queue_size: 512 }));
    expect(await read(CONF)).toContain(FOREIGN);
    expect(await asked(DISK, 'queue-size')).toBe(512);
    expect((await host.run(`stat -c %a ${CONF}`)).text).toBe('640\n');
    await converge(declare({ queue_size: 64 }));
    await converge(declare({ state: 'absent' }));
    expect(await read(CONF)).toBe(FOREIGN);
    expect((await host.run(`stat -c %a ${CONF}; ls -A /etc/qemu; ls -d /etc/blkfleet 2>&1`)).text).toMatch(
      /^640\nqemu\.conf\nls: cannot access/,
    );
  });

  test('that set the same driver later do not win: our lines move behind them', async () => {
    await converge(declare({ queue_size: 512 }));
    const later = '[global]\n  driver = "virtio-blk-pci"\n  property = "queue-size"\n  value = "64"\n';
    await host.run(`cat >> ${CONF} <<'E'\n${later}E\n`);
    const drift = await plan(declare({ queue_size: 512 }));
    expect(paths(drift)).toEqual([CONF, `${QEMU} virtio-blk-pci.queue-size`]);
    expect(warnings(drift).join()).toContain('line');
    await converge(declare({ queue_size: 512 }));
    expect(await asked(DISK, 'queue-size')).toBe(512);
    await converge(declare({ state: 'absent' }));
    expect(await read(CONF)).toBe(later);
  });

  test('that QEMU refuses stop the host, by the message of QEMU', async () => {
    host.place(CONF, '[global]\n  driver = "virtio-blk-pci"\n  property = "nonsense"\n  value = "1"\n');
    const verdict = await plan(declare());
    expect(verdict).toMatchObject({ status: 'blocked', code: 'E_BLOCKED' });
    expect('message' in verdict && verdict.message).toContain("'virtio-blk-pci.nonsense' not found");
  });

  test('that name more than defaults are never started by a probe', async () => {
    host.place(CONF, '[chardev "log"]\n  backend = "file"\n  path = "/var/log/planted"\n');
    const before = host.written();
    expect(warnings(await plan(declare())).join()).toContain('not read back');
    expect(host.written()).toEqual(before);
    await converge(declare());
    expect(host.written()).not.toContain('/var/log/planted');
    // It would have been written, had it been started with the file.
    await asked(DISK, 'queue-size');
    expect(host.written()).toContain('/var/log/planted');
  });

  test.each([
    ['a link', (at: LayeredHost) => at.run(`mkdir -p /etc/qemu; ln -s /etc/passwd ${CONF}`)],
    [
      'a mark without its other end',
      async (at: LayeredHost) => at.place(CONF, '# BEGIN blkfleet qemu_drive_defaults\n[x]\n'),
    ],
    ['a huge file', async (at: LayeredHost) => at.place(CONF, '#'.repeat(70_000))],
  ])('%s is refused', async (_, prepare) => {
    await prepare(host);
    expect((await plan(declare())).status).toBe('blocked');
    expect((await plan(declare({ state: 'absent' }))).status).toBe('blocked');
  });

  test('that changed since the plan stop the step', async () => {
    const { steps } = await planOn(host, qemuDriveDefaults, declare(), await host.facts());
    host.place(CONF, '# mine\n');
    expect((await runSteps(host, steps)).rc).not.toBe(0);
    expect(await read(CONF)).toBe('# mine\n');
  });
});

describe('undone', () => {
  test('absent leaves no trace', async () => {
    // A folder that was passed through stays in the layer; whatever else is there, or has no folder below it, is a trace.
    const traces = () =>
      host.written().filter((path) => !statSync(path, { throwIfNoEntry: false })?.isDirectory());
    await converge(declare());
    expect(traces()).toContain(CONF);
    await converge(declare({ state: 'absent' }));
    expect(traces()).toEqual([]);
  });

  test('an empty folder of others stays', async () => {
    await host.run('mkdir -p /etc/qemu');
    await converge(declare());
    await converge(declare({ state: 'absent' }));
    expect((await host.run('ls -A /etc/qemu')).text).toBe('');
  });
});

describe('hosts that are different', () => {
  test('without QEMU: the plan warns, apply fails with what to do, absent_ok is in sync', async () => {
    host.mounts = `mount --bind /dev/null ${QEMU}`;
    const { plan: verdict, steps } = await planOn(host, qemuDriveDefaults, declare(), await host.facts());
    expect(warnings(verdict).join()).toContain('no QEMU');
    const applied = await runSteps(host, steps);
    expect(applied.rc).not.toBe(0);
    expect(applied.text).toContain('absent_ok');
    expect(host.written()).toEqual([]);
    expect((await plan(declare({ absent_ok: true }))).status).toBe('ok');
    // Installed by a task before this one, in the same run.
    host.mounts = '';
    expect((await runSteps(host, steps)).rc).toBe(0);
    expect((await plan(declare())).status).toBe('ok');
  });

  test('where libvirt starts the guests it is said that there is no effect', async () => {
    host.place('/usr/sbin/libvirtd', '#!/bin/sh\n', 0o755);
    expect(warnings(await plan(declare())).join()).toContain('no effect on libvirt domains');
  });

  test('vhost-blk with a QEMU that has no such device is refused', async () => {
    expect(await plan(declare({ data_path: 'vhost-blk' }))).toMatchObject({ status: 'blocked' });
  });

  test('a QEMU that reads no qemu.conf is found by what it sees', async () => {
    host.place('/opt/qemu', `#!/bin/sh\nexec ${QEMU} -no-user-config "$@"\n`, 0o755);
    const input = declare({ binaries: ['/opt/qemu'] });
    const { steps } = await planOn(host, qemuDriveDefaults, input, await host.facts());
    expect((await runSteps(host, steps)).rc).toBe(0);
    expect(await plan(input)).toMatchObject({ status: 'blocked' });
  });

  test('a QEMU that was replaced is asked anew', async () => {
    host.place('/opt/qemu', `#!/bin/sh\nexec ${QEMU} "$@"\n`, 0o755);
    const input = declare({ binaries: ['/opt/qemu'] });
    await converge(input);
    host.place('/opt/qemu', `#!/bin/sh\nexec ${QEMU} -no-user-config "$@"\n`, 0o755);
    expect(await plan(input)).toMatchObject({ status: 'blocked' });
  });
});
