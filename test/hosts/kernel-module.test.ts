import { describe, expect, test } from 'vitest';
import { kernelModule } from '../../src/resources/kernel_module/index.ts';
import {
  ATTEMPT,
  converge,
  declare,
  expectConverged,
  install,
  NAME,
  paths,
  place,
  plan,
  run,
  SYS,
  text,
  tree,
  trouble,
  useTrialVm,
  vm,
} from './kernel-module-trial.ts';
import { planOn, runSteps } from './run-steps.ts';

useTrialVm();

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
});
