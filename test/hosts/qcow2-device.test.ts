import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Input, ResourcePlan } from '../../src/resources/kind.ts';
import { qcow2Device } from '../../src/resources/qcow2_device/index.ts';
import type { BootDisk } from './boot-disk.ts';
import { imagePath, qcow2Disk } from './qcow2-device-disk.ts';
import { planOn, runSteps } from './run-steps.ts';
import { type VmHost, vmHost } from './vm-host.ts';

const image = imagePath('db');
const DEVICE = '/dev/mapper/db';
const CONFIG = '/etc/blkfleet/qcow2.d/db.conf';
const UNIT = '/etc/systemd/system/blkfleet-qcow2-db.service';

let disk: BootDisk;
let vm: VmHost;

beforeAll(async () => {
  disk = await qcow2Disk();
  vm = vmHost(disk);
  await vm.boot();
});
afterAll(async () => {
  await vm?.remove();
  disk?.remove();
});
beforeEach(async () => {
  // As after the first boot of the disk, with the module loaded: no device, nothing of ours.
  const clean = await run(`if [ -e /tmp/user ]; then kill "$(cat /tmp/user)" || :; rm /tmp/user; sleep 0.2; fi
for name in db two; do
  ! dmsetup info "$name" >/dev/null 2>&1 || { dmsetup resume "$name"; dmsetup remove "$name"; rm -f "/dev/mapper/$name"; }
done
rm -rf /run/blkfleet /etc/blkfleet /usr/local/lib/* /etc/systemd/system/*.* /etc/systemd/system/*/*
mkdir -p /etc/systemd/system/multi-user.target.wants
[ -d /sys/module/dm_qcow2 ] || modprobe dm_qcow2`);
  expect(clean.rc, clean.text).toBe(0);
});

const run = (script: string) => vm.run(script);
const text = async (script: string) => (await run(script)).text;
const ok = async (script: string) => {
  const outcome = await run(`set -e\n${script}`);
  expect(outcome.rc, outcome.text).toBe(0);
  return outcome.text;
};

function declare(more: Record<string, unknown> = {}): Input<unknown> {
  return { desired: qcow2Device.schema.parse({ name: 'db', image, ...more }), assets: {} };
}

const planned = async (input: Input<unknown>) => planOn(vm, qcow2Device, input, await vm.facts());
const plan = async (input: Input<unknown>): Promise<ResourcePlan> => (await planned(input)).plan;

/** Plans, applies, plans again. */
async function converge(input: Input<unknown>) {
  const first = await planned(input);
  const applied = await runSteps(vm, first.steps);
  return { plan: first.plan, applied, after: await plan(input) };
}

async function expectConverged(input: Input<unknown>) {
  const { plan, applied, after } = await converge(input);
  expect(applied.rc, applied.text).toBe(0);
  expect(after, JSON.stringify(after)).toMatchObject({ status: 'ok' });
  return { plan, applied };
}

async function expectFailed(input: Input<unknown>, why: RegExp) {
  const { applied, after } = await converge(input);
  expect(applied.rc).not.toBe(0);
  expect(applied.text).toMatch(why);
  return after;
}

const paths = (plan: ResourcePlan) => ('changes' in plan ? plan.changes.map((change) => change.path) : []);

const tree = () =>
  text(
    `find /etc /usr/local /var /run/blkfleet /dev/mapper -printf '%y %m %U:%G %p %l\\n' 2>/dev/null | sort
find /etc /usr/local/lib -type f -exec cat {} +`,
  );

const mark = (what: string) =>
  `printf '${what}' | dd of=${DEVICE} bs=512 seek=4096 conv=sync,fsync 2>/dev/null\n`;
const marked = () => text(`dd if=${DEVICE} bs=512 skip=4096 count=1 2>/dev/null | tr -d '\\000'`);
const openIt = `sleep 1000 < ${DEVICE} > /dev/null 2>&1 & echo $! > /tmp/user\n`;
/** What the unit runs, as systemd would. */
const unitRuns = async (key: string) => text(`$(sed -n 's/^${key}=//p' ${UNIT})`);

describe('attaching', () => {
  test('from nothing to attached; then nothing to do; a probe writes nothing; absent leaves no trace', async () => {
    const before = await tree();
    const bare = await plan(declare());
    expect(paths(bare)).toEqual(['config', 'unit', 'boot', 'attached']);
    expect(await tree()).toBe(before);
    await expectConverged(declare());
    expect(await text(`dmsetup table db; cat /sys/block/dm-0/ro`)).toMatch(
      /^0 32768 qcow2 1 qcow2:\d+ 1 cache_kib:8192\n0\n$/,
    );
    const attached = await tree();
    expect(attached).toContain(`image ${image}\n`);
    await ok(mark('hello'));
    expect(await plan(declare())).toMatchObject({ status: 'ok' });
    expect(await tree()).toBe(attached);
    await expectConverged(declare({ state: 'absent' }));
    expect(await tree()).toBe(before);
    expect((await run('dmsetup info db')).rc).not.toBe(0);
  });

  test('it is there again after a loss of power, as the unit attaches it, with what was flushed', async () => {
    await expectConverged(declare({ cache_kib: 4096 }));
    await ok(`${mark('kept')}sync`);
    await vm.cut();
    await vm.boot();
    // As a boot with the module in quarantine: the kernel would load it by itself for a table.
    expect(await unitRuns('ExecStart')).toContain('dm_qcow2 is not loaded');
    expect((await run('test -e /sys/module/dm_qcow2')).rc).toBe(1);
    expect(paths(await plan(declare({ cache_kib: 4096 })))).toEqual(['attached']);
    await ok('modprobe dm_qcow2');
    expect(await unitRuns('ExecStart')).toBe(`${DEVICE}\n`);
    expect(await marked()).toBe('kept');
    expect(await plan(declare({ cache_kib: 4096 }))).toMatchObject({ status: 'ok' });
    expect(await unitRuns('ExecStart')).toContain('attached already');
    expect(await unitRuns('ExecStop')).toBe('');
    expect((await run('dmsetup info db')).rc).not.toBe(0);
    expect(await text(`ls -A /run/blkfleet 2>/dev/null`)).toBe('');
  });

  test('a change where nothing uses it: detached and attached, the data stays', async () => {
    await expectConverged(declare());
    await ok(mark('data'));
    const { plan: changed } = await expectConverged(
      declare({ read_only: true, cache_kib: 16384, boot: false }),
    );
    expect(paths(changed)).toEqual([
      'config.read_only',
      'config.cache_kib',
      'boot',
      'read_only',
      'cache_kib',
    ]);
    expect(await marked()).toBe('data');
    expect((await run(mark('none'))).rc).not.toBe(0);
    expect(await text('dmsetup table db')).toContain('cache_kib:16384');
    expect(await text(`find /etc/systemd -type l`)).toBe('');
  });

  test('a chain of images, where base allows it', async () => {
    const input = (more = {}) => declare({ image: imagePath('over'), ...more });
    await expectFailed(input(), /neither in its folder nor in a --base[\s\S]*below the folders of base/);
    await expectConverged(input({ base: ['/srv/bases'] }));
    expect(await text('dmsetup table db')).toMatch(/ qcow2 2 qcow2:\d+ qcow2:\d+ /);
    // It counts when images are opened: what is attached stays.
    await ok(openIt);
    const { plan: changed } = await expectConverged(input({ base: ['/srv/bases', '/srv/more'] }));
    expect(paths(changed)).toEqual(['config.base']);
  });
});

describe('a device in use', () => {
  test('is never touched: held, and the step that was planned before refuses', async () => {
    await expectConverged(declare());
    const changed = declare({ cache_kib: 4096 });
    const { steps } = await planned(changed);
    await ok(openIt);
    const refused = await runSteps(vm, steps);
    expect(refused.rc, refused.text).not.toBe(0);
    expect(refused.failed?.title).toBe('detach db');
    expect(await plan(changed)).toMatchObject({
      status: 'held',
      state: 'pending-drain',
      changes: [{ path: 'cache_kib', from: '8192', to: '4096' }],
    });
    const absent = await converge(declare({ state: 'absent' }));
    expect(paths(absent.plan)).toEqual(['boot']);
    expect(absent.after).toMatchObject({ status: 'held', state: 'pending-drain' });
    // The helper does not either, as a shutdown would find it, and waits in bounded time.
    expect(await unitRuns('ExecStop')).toContain('in use');
    expect(await marked()).toBe(await marked());
    await ok('kill "$(cat /tmp/user)"; rm /tmp/user; sleep 0.2');
    await expectConverged(changed);
  });

  test('is held by another device on it', async () => {
    await expectConverged(declare());
    await ok(`dmsetup create two --table '0 32768 linear ${DEVICE} 0'`);
    const found = await plan(declare({ read_only: true }));
    expect(paths(found)).toEqual(['config.read_only']);
    expect(found).toMatchObject({ warnings: [expect.stringContaining('held by dm-1')] });
  });
});

describe('drift', () => {
  test('of the config, the unit and the boot, field by field', async () => {
    await expectConverged(declare());
    await ok(`sed -i 's/^cache_kib .*/cache_kib 4096/; s/^read_only no/read_only yes/' ${CONFIG}
echo '# mine' >> ${UNIT}
rm /etc/systemd/system/multi-user.target.wants/*`);
    const { plan: drift } = await expectConverged(declare());
    expect(drift).toMatchObject({
      changes: [
        { path: 'config.read_only', from: 'yes', to: 'no' },
        { path: 'config.cache_kib', from: '4096', to: '8192' },
        { path: 'unit', from: 'differs' },
        { path: 'boot', from: null, to: 'attached' },
      ],
    });
  });

  test('detached by hand, and attached by hand otherwise', async () => {
    await expectConverged(declare());
    await ok('blkfleet-qcow2 detach db');
    expect(paths((await expectConverged(declare())).plan)).toEqual(['attached']);
    await ok(`blkfleet-qcow2 detach db; blkfleet-qcow2 attach ${image} --name db --ro --cache-kib 4096`);
    expect(paths((await expectConverged(declare())).plan)).toEqual(['read_only', 'cache_kib']);
    await ok(`blkfleet-qcow2 detach db; blkfleet-qcow2 attach ${imagePath('other')} --name db`);
    const { plan: other } = await expectConverged(declare());
    expect(other).toMatchObject({ changes: [{ path: 'image', to: image }] });
  });

  test('another image: the old one stays attached until the new one could be opened', async () => {
    await expectConverged(declare());
    await expectFailed(declare({ image: '/srv/images/none.qcow2' }), /none\.qcow2 is not there/);
    await expectFailed(declare({ image: '/etc/os-release' }), /not a qcow2 image/);
    expect(await text('dmsetup table db')).toContain('qcow2');
    const { plan: changed } = await expectConverged(declare({ image: imagePath('other') }));
    expect(changed).toMatchObject({
      changes: [
        { path: 'config.image', from: '/etc/os-release' },
        { path: 'unit' },
        { path: 'image', from: image, to: imagePath('other') },
      ],
    });
  });

  test('a file that was put in the place of the image, and an image that was removed', async () => {
    const copy = '/srv/images/copy.qcow2';
    await ok(`cp ${imagePath('other')} ${copy}`);
    await expectConverged(declare({ image: copy }));
    await ok(`cp ${imagePath('other')} ${copy}.new; mv ${copy}.new ${copy}`);
    expect(await plan(declare({ image: copy }))).toMatchObject({
      status: 'change',
      changes: [{ path: 'image', reason: 'another file has that name now' }],
    });
    await expectConverged(declare({ image: copy }));
    await ok(`rm ${copy}`);
    expect(await plan(declare({ image: copy }))).toMatchObject({ status: 'blocked' });
  });

  test('suspended by somebody is left to him', async () => {
    await expectConverged(declare());
    await ok('blkfleet-qcow2 suspend db');
    expect(await plan(declare())).toMatchObject({ status: 'held', state: 'suspended' });
    await ok('blkfleet-qcow2 resume db');
    expect(await plan(declare())).toMatchObject({ status: 'ok' });
  });
});

describe('what goes wrong is told', () => {
  test('an image that another has open', async () => {
    await ok(`blkfleet-qcow2 attach ${image} --name two`);
    await expectFailed(declare(), /in use by another process[\s\S]*has it open: end that first/);
  });

  test('an image that was not closed cleanly needs a check', async () => {
    // Incompatible feature bit 0, the dirty bit: docs/interop/qcow2.txt of QEMU.
    await ok(`printf '\\001' | dd of=${imagePath('dirty')} bs=1 seek=79 conv=notrunc 2>/dev/null`);
    const input = declare({ image: imagePath('dirty') });
    const after = await expectFailed(
      input,
      new RegExp(`it was not closed cleanly[\\s\\S]*qemu-img check -r all ${imagePath('dirty')}`),
    );
    // What could not be attached is not tried at the next boot.
    expect(paths(after)).toEqual(['boot', 'attached']);
    await expectConverged(declare({ image: imagePath('dirty'), read_only: true }));
  });

  test('an image, a module and a tool that are not there', async () => {
    await expectFailed(declare({ image: '/srv/none.qcow2' }), /\/srv\/none\.qcow2 is not there/);
    await ok('rmmod dm_qcow2');
    await expectFailed(declare(), /dm_qcow2 is not loaded/);
    await ok('modprobe dm_qcow2; mv /usr/local/sbin/blkfleet-qcow2 /usr/local/sbin/away');
    await expectFailed(declare(), /blkfleet-qcow2 is not there/);
    await ok('mv /usr/local/sbin/away /usr/local/sbin/blkfleet-qcow2');
    await expectConverged(declare());
  });

  test('a device of another target is not ours', async () => {
    await ok(
      `dmsetup create db --table '0 2048 zero' 2>/dev/null || dmsetup create db --table '0 2048 error'`,
    );
    expect(await plan(declare())).toMatchObject({ status: 'blocked' });
    expect(await plan(declare({ state: 'absent' }))).toMatchObject({ status: 'ok' });
  });
});
