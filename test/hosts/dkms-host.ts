import { dkms } from '../../src/resources/dkms/index.ts';
import type { Input, ResourcePlan } from '../../src/resources/kind.ts';
import { dkmsRoot } from './dkms-root.ts';
import { type ChrootHost, planOn, runSteps } from './run-steps.ts';

export const { root, kernel: KERNEL, other: OTHER } = await dkmsRoot();

/** Plans and applies, and plans again. */
export async function converge(host: ChrootHost, input: Input<unknown>) {
  const facts = await host.facts(KERNEL);
  const { plan, steps } = await planOn(host, dkms, input, facts);
  const applied = await runSteps(host, steps);
  const after = await planOn(host, dkms, input, facts);
  return { plan, applied, after: after.plan };
}

export async function plan(host: ChrootHost, input: Input<unknown>): Promise<ResourcePlan> {
  return (await planOn(host, dkms, input, await host.facts(KERNEL))).plan;
}

/** The paths of a plan's changes, in its order. */
export function paths(plan: ResourcePlan): string[] {
  return 'changes' in plan ? plan.changes.map((change) => change.path) : [];
}

/** What stands in the folders that dkms and blkfleet write to: type, mode, owner, link target and content of each entry. */
export async function treeText(host: ChrootHost): Promise<string> {
  // mok.* is the signing key that dkms makes for the host at its first build; it is not ours to remove.
  const { rc, text } =
    await host.run(`cd / && find etc usr/src usr/local usr/lib/modules var/lib/dkms var/lib/blkfleet var/tmp tmp \\
  ! -name 'mok.*' ! -path 'usr/src/linux-*' ! -path 'usr/lib/modules/*/build/*' \\
  \\( -type f -printf '%y %m %U:%G %p ' -exec sha256sum -- {} \\; -o -printf '%y %m %U:%G %p %l\\n' \\) 2>/dev/null | sort`);
  if (rc !== 0) throw new Error(text);
  return text;
}

export const ko = (kernel: string) => `/lib/modules/${kernel}/updates/dkms/blkfleet_hello.ko`;
