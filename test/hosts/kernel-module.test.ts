import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { kernelModule } from '../../src/resources/kernel_module/index.ts';
import type { Input, ResourcePlan } from '../../src/resources/kind.ts';
import { type TrialDisk, trialDisk } from './kernel-module-disk.ts';
import { type VmHost, vmHost } from './kernel-module-vm.ts';
import { planOn, runSteps } from './run-steps.ts';

const NAME = 'blkfleet_trial';
const SYS = `/sys/module/${NAME}`;
const ATTEMPT = `/var/lib/blkfleet/boot-attempt/${NAME}`;
const QUARANTINE = `/var/lib/blkfleet/quarantine/${NAME}`;
const GUARD = '/usr/local/lib/blkfleet/module-guard';

let disk: TrialDisk;
let vm: VmHost;

beforeAll(async () => {
  disk = await trialDisk();
  vm = vmHost(disk);
  await vm.boot();
});
afterAll(async () => {
  await vm?.remove();
  disk?.remove();
});
beforeEach(async () => {
  // A load that hung or crashed is over with a boot alone.
  if (/coming/.test(await text(`cat ${SYS}/initstate`))) await vm.boot();
  // As after the first boot of the disk: build 1 is installed, nothing is loaded, nothing of ours is there.
  const clean = await run(`[ ! -e ${SYS} ] || rmmod ${NAME}
rm -rf /var/lib/blkfleet /usr/local/lib/* /etc/systemd/system/*.* /etc/systemd/system/*/* /etc/modprobe.d/* /tmp/*
mkdir -p /etc/systemd/system/multi-user.target.wants
${install('/trial/1')}`);
  expect(clean.rc, clean.text).toBe(0);
});

const run = (script: string) => vm.run(script);
const text = async (script: string) => (await run(script)).text;

const place = () => `/lib/modules/${disk.release}/updates/dkms/${NAME}.ko`;

/** Puts a build where dkms would. */
function install(folder: string): string {
  return `cp ${folder}/${NAME}.ko ${place()} && depmod ${disk.release}\n`;
}

function declare(more: Record<string, unknown> = {}): Input<unknown> {
  return { desired: kernelModule.schema.parse({ name: NAME, ...more }), assets: {} };
}

async function plan(input: Input<unknown>): Promise<ResourcePlan> {
  return (await planOn(vm, kernelModule, input, await vm.facts())).plan;
}

/** Plans, applies, plans again. */
async function converge(input: Input<unknown>) {
  const first = await planOn(vm, kernelModule, input, await vm.facts());
  const applied = await runSteps(vm, first.steps);
  return { plan: first.plan, applied, after: await plan(input) };
}

async function expectConverged(input: Input<unknown>) {
  const { plan, applied, after } = await converge(input);
  expect(applied.rc, applied.text).toBe(0);
  expect(after, JSON.stringify(after)).toMatchObject({ status: 'ok' });
  return { plan, applied };
}

const paths = (plan: ResourcePlan) => ('changes' in plan ? plan.changes.map((change) => change.path) : []);

/** Sets what goes wrong at the next load, whoever does it. */
const trouble = (kind: string) => `echo 'options ${NAME} trouble=${kind}' > /etc/modprobe.d/trouble.conf\n`;

const tree = () =>
  text(
    `find /etc /usr/local /var /trial -printf '%y %m %U:%G %p %l\\n' | sort; find /etc /var -type f -exec cat {} +`,
  );

describe('loading', () => {
  test('from nothing to loaded with parameters in force; then nothing to do; a probe writes nothing', async () => {
    const input = declare({ parameters: { answer: 7, flag: true, word: 'some,thing', hidden: 3 } });
    const before = await tree();
    const bare = await plan(input);
    expect(paths(bare)).toEqual(['options', 'boot', 'loaded']);
    expect(await tree()).toBe(before);
    const { applied } = await expectConverged(input);
    expect(applied.text).toContain('parameter hidden can not be read back');
    expect(await text(`cd ${SYS}/parameters; cat answer flag word; cat ${SYS}/initstate`)).toBe(
      '7\nY\nsome,thing\nlive\n',
    );
    expect((await run(`test -e ${ATTEMPT}`)).rc).toBe(1);
  });

  test('a parameter that was changed by hand comes back, by a reload', async () => {
    const input = declare({ parameters: { answer: 7 } });
    await expectConverged(input);
    await run(`echo 9 > ${SYS}/parameters/answer`);
    const { plan } = await expectConverged(input);
    expect(plan).toMatchObject({ changes: [{ path: 'parameter.answer', from: '9', to: '7' }] });
  });

  test('a parameter that the module does not have is found before the load, which would ignore it', async () => {
    expect(await plan(declare({ parameters: { anwser: 7 } }))).toMatchObject({ status: 'blocked' });
  });

  test('another build on the disk is reloaded where nothing uses the module', async () => {
    await expectConverged(declare());
    const old = await text(`cat ${SYS}/srcversion`);
    await run(install('/trial/2'));
    const { plan } = await expectConverged(declare());
    expect(plan).toMatchObject({ changes: [{ path: 'srcversion', from: old.trim(), action: '±' }] });
    const [now, onDisk] = [await text(`cat ${SYS}/srcversion`), await text(`modinfo -F srcversion ${NAME}`)];
    expect(now).toBe(onDisk);
    expect(now).not.toBe(old);
  });

  test('a module in use is never touched: held, and the step that was planned before refuses', async () => {
    await expectConverged(declare());
    const old = await text(`cat ${SYS}/srcversion`);
    await run(install('/trial/2'));
    const { steps } = await planOn(vm, kernelModule, declare(), await vm.facts());
    await run('sleep 1000 < /dev/blkfleet_trial > /dev/null 2>&1 & echo $! > /tmp/user');
    expect(await plan(declare())).toMatchObject({
      status: 'held',
      state: 'pending-drain',
      changes: [{ path: 'srcversion' }],
    });
    const refused = await runSteps(vm, steps);
    expect(refused.rc, refused.text).not.toBe(0);
    expect(await text(`cat ${SYS}/srcversion`)).toBe(old);
    const absent = await converge(declare({ state: 'absent' }));
    expect(absent.applied.rc, absent.applied.text).toBe(0);
    expect(absent.after).toMatchObject({ status: 'held', state: 'pending-drain' });
    expect(await text(`cat ${SYS}/initstate`)).toBe('live\n');
    await run('kill "$(cat /tmp/user)"; sleep 0.2');
    await expectConverged(declare());
  });

  test('absent unloads and leaves no trace', async () => {
    const before = await tree();
    await expectConverged(declare({ parameters: { answer: 7 } }));
    await expectConverged(declare({ state: 'absent' }));
    expect(await tree()).toBe(before);
    expect((await run(`test -e ${SYS}`)).rc).toBe(1);
  });

  test('boot: false takes the unit away and keeps the module', async () => {
    await expectConverged(declare());
    const { plan } = await expectConverged(declare({ boot: false }));
    expect(paths(plan)).toEqual(['boot']);
    expect(await text(`find /etc/systemd /usr/local -type f -o -type l`)).toBe('');
    expect(await text(`cat ${SYS}/initstate`)).toBe('live\n');
  });
});

describe('a load that goes wrong', () => {
  test.each([
    ['refuses', () => trouble('refuse'), 'found nothing to drive'],
    ['is no module', () => `head -c 3000 /trial/1/${NAME}.ko > ${place()}\n`, 'damaged'],
  ])('a module that %s fails the task with its cause, and is not quarantined', async (_, harm, why) => {
    await run(harm());
    const { applied, after } = await converge(declare());
    expect(applied.rc).not.toBe(0);
    expect(applied.text).toContain(why);
    expect(paths(after)).toContain('loaded');
    expect((await run(`test -e ${ATTEMPT}`)).rc).toBe(1);
  });

  test('an administrator who forbids the module is named', async () => {
    await run(`echo 'install ${NAME} /bin/false' > /etc/modprobe.d/no.conf`);
    const blocked = await plan(declare());
    expect(blocked.status === 'blocked' && blocked.message).toContain('/etc/modprobe.d/no.conf');
  });

  test('a warning of the kernel fails the task and stays known for this boot', async () => {
    await run(trouble('warn'));
    const { applied, after } = await converge(declare());
    expect(applied.rc).not.toBe(0);
    expect(applied.text).toMatch(/the kernel warned while blkfleet_trial was loaded:\n.*WARNING/);
    expect(applied.text).toContain('tainted the kernel: bits 512');
    expect(after.status).toBe('change');
    expect(paths(after)).toEqual(['boot']);
    await run('rm /etc/modprobe.d/trouble.conf');
    expect((await converge(declare())).after).toMatchObject({ status: 'held', state: 'unwell' });
    await vm.cut();
    await vm.boot();
    await expectConverged(declare());
  });

  test('an init that never ends is told within bounded time, and not tried again', async () => {
    await run(trouble('hang'));
    const { steps } = await planOn(vm, kernelModule, declare(), await vm.facts());
    const quick = steps.map((step) => ({
      ...step,
      script: step.script.replace('timeout -k 1 60 ', 'timeout -k 1 2 ').replace('-ge 60 ', '-ge 2 '),
    }));
    const applied = await runSteps(vm, quick);
    expect(applied.rc).not.toBe(0);
    expect(applied.text).toContain('its init hangs');
    expect(await plan(declare())).toMatchObject({
      status: 'blocked',
      message: expect.stringContaining("stuck in the state 'coming'"),
    });
    expect((await run(`test -e ${ATTEMPT}`)).rc).toBe(0);
    await vm.cut();
    await vm.boot();
  });

  test('an oops in its init: reboot is advised, and the guard of the next boot quarantines it', async () => {
    await expectConverged(declare());
    await run(`rmmod ${NAME}\n${trouble('oops')}`);
    const { applied, after } = await converge(declare());
    expect(applied.rc).not.toBe(0);
    expect(applied.text).toContain('crashed the kernel');
    expect(after).toMatchObject({ status: 'blocked' });
    await vm.cut();
    await vm.boot();
    await run('rm /etc/modprobe.d/trouble.conf');
    const booted = await run(`${GUARD} start ${NAME}`);
    expect(booted, booted.text).toMatchObject({ rc: 0 });
    expect((await run(`test -e ${SYS}`)).rc).toBe(1);
    const blocked = await plan(declare());
    expect(blocked.status === 'blocked' && blocked.message).toContain('quarantined');
    await run(`rm ${QUARANTINE}`);
    await expectConverged(declare());
  });
});

describe('the guard at boot', () => {
  test('a module that panics the kernel does so once: the next boot comes up without it', async () => {
    await expectConverged(declare());
    await run(`rmmod ${NAME}\n${trouble('panic')}sync`);
    run(`${GUARD} start ${NAME}`).catch(() => {});
    expect(await vm.down(60_000)).toBe(true);
    expect(vm.console()).toContain('blkfleet_trial: as told');
    await vm.boot();
    const second = await run(`${GUARD} start ${NAME}`);
    expect(second.rc, second.text).toBe(0);
    expect(second.text).toContain('quarantined');
    expect((await run(`test -e ${SYS}`)).rc).toBe(1);
    expect((await run(`test -e ${ATTEMPT}`)).rc).toBe(1);
    // And so does the third, until somebody has looked.
    expect((await run(`${GUARD} start ${NAME}`)).rc).toBe(0);
    expect((await run(`test -e ${SYS}`)).rc).toBe(1);
  });

  test('a module that loads is noted until the host has stayed up, or stops in order', async () => {
    await expectConverged(declare());
    // systemd-run as the unit finds it: here it only tells that it was called.
    const timer = `mkdir -p /tmp/bin; printf '#!/bin/sh\\necho "$*" > /tmp/called\\n' > /tmp/bin/systemd-run; chmod +x /tmp/bin/systemd-run; cp /tmp/bin/systemd-run /usr/local/bin/ 2>/dev/null || { mkdir -p /usr/local/bin; cp /tmp/bin/systemd-run /usr/local/bin/; }\n`;
    const start = `rmmod ${NAME}; ${GUARD} start ${NAME}\n`;
    const started = await run(timer + start);
    expect(started.rc, started.text).toBe(0);
    expect(await text('cat /tmp/called')).toContain(`--on-active=120`);
    expect((await run(`test -e ${SYS} && test -e ${ATTEMPT}`)).rc).toBe(0);
    await run(`${GUARD} healthy ${NAME}`);
    expect((await run(`test -e ${ATTEMPT}`)).rc).toBe(1);
    await run(start);
    await run(`${GUARD} stop ${NAME}`);
    expect((await run(`test -e ${ATTEMPT}`)).rc).toBe(1);
    await run(`rm -r /usr/local/bin`);
  });

  test('a module that refuses to load is not quarantined', async () => {
    await expectConverged(declare());
    const refused = await run(`rmmod ${NAME}\n${trouble('refuse')}${GUARD} start ${NAME}`);
    expect(refused.rc).toBe(1);
    expect((await run(`test -e ${ATTEMPT} || test -e ${QUARANTINE}`)).rc).toBe(1);
  });
});
