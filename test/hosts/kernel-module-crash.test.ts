import { describe, expect, test } from 'vitest';
import { kernelModule } from '../../src/resources/kernel_module/index.ts';
import {
  ATTEMPT,
  converge,
  declare,
  expectConverged,
  GUARD,
  NAME,
  paths,
  plan,
  QUARANTINE,
  run,
  SYS,
  text,
  trouble,
  useTrialVm,
  vm,
} from './kernel-module-trial.ts';
import { planOn, runSteps } from './run-steps.ts';

useTrialVm();

describe('a load that hurts the kernel', () => {
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
