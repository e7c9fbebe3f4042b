import { afterAll, beforeAll, beforeEach, expect } from 'vitest';
import { kernelModule } from '../../src/resources/kernel_module/index.ts';
import type { Input, ResourcePlan } from '../../src/resources/kind.ts';
import type { BootDisk } from './boot-disk.ts';
import { trialDisk } from './kernel-module-disk.ts';
import { planOn, runSteps } from './run-steps.ts';
import { type VmHost, vmHost } from './vm-host.ts';

export const NAME = 'blkfleet_trial';
export const SYS = `/sys/module/${NAME}`;
export const ATTEMPT = `/var/lib/blkfleet/boot-attempt/${NAME}`;
export const QUARANTINE = `/var/lib/blkfleet/quarantine/${NAME}`;
export const GUARD = '/usr/local/lib/blkfleet/module-guard';

export let disk: BootDisk;
export let vm: VmHost;

/** One VM for the tests of a file; before each of them build 1 is installed, nothing is loaded, nothing of ours is there. */
export function useTrialVm(): void {
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
    const clean = await run(`[ ! -e ${SYS} ] || rmmod ${NAME}
rm -rf /var/lib/blkfleet /usr/local/lib/* /etc/systemd/system/*.* /etc/systemd/system/*/* /etc/modprobe.d/* /tmp/*
mkdir -p /etc/systemd/system/multi-user.target.wants
${install('/trial/1')}`);
    expect(clean.rc, clean.text).toBe(0);
  });
}

export const run = (script: string) => vm.run(script);
export const text = async (script: string) => (await run(script)).text;

export const place = () => `/lib/modules/${disk.release}/updates/dkms/${NAME}.ko`;

/** Puts a build where dkms would. */
export function install(folder: string): string {
  return `cp ${folder}/${NAME}.ko ${place()} && depmod ${disk.release}\n`;
}

export function declare(more: Record<string, unknown> = {}): Input<unknown> {
  return { desired: kernelModule.schema.parse({ name: NAME, ...more }), assets: {} };
}

export async function plan(input: Input<unknown>): Promise<ResourcePlan> {
  return (await planOn(vm, kernelModule, input, await vm.facts())).plan;
}

/** Plans, applies, plans again. */
export async function converge(input: Input<unknown>) {
  const first = await planOn(vm, kernelModule, input, await vm.facts());
  const applied = await runSteps(vm, first.steps);
  return { plan: first.plan, applied, after: await plan(input) };
}

export async function expectConverged(input: Input<unknown>) {
  const { plan, applied, after } = await converge(input);
  expect(applied.rc, applied.text).toBe(0);
  expect(after, JSON.stringify(after)).toMatchObject({ status: 'ok' });
  return { plan, applied };
}

export const paths = (plan: ResourcePlan) =>
  'changes' in plan ? plan.changes.map((change) => change.path) : [];

/** Sets what goes wrong at the next load, whoever does it. */
export const trouble = (kind: string) =>
  `echo 'options ${NAME} trouble=${kind}' > /etc/modprobe.d/trouble.conf\n`;

export const tree = () =>
  text(
    `find /etc /usr/local /var /trial -printf '%y %m %U:%G %p %l\\n' | sort; find /etc /var -type f -exec cat {} +`,
  );
