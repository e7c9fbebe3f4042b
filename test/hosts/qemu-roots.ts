import { expect } from 'vitest';
import { buildRoot } from '../../src/lab/debian/root.ts';
import type { Input, ResourcePlan } from '../../src/resources/kind.ts';
import { qemuDriveDefaults } from '../../src/resources/qemu_drive_defaults/index.ts';
import { planOn, runSteps, type StepHost } from './run-steps.ts';

const libvirt = ['libvirt-daemon', 'libvirt-daemon-driver-qemu', 'libvirt-clients'];

/** Debian roots with a QEMU each; those with libvirt say its version. */
export const qemuRoots = [
  { suite: 'bookworm', qemu: '7.2', libvirt: '9.0', include: ['qemu-system-x86', ...libvirt] },
  { suite: 'trixie', qemu: '10.0', libvirt: '11.3', include: ['qemu-system-x86', ...libvirt] },
  { suite: 'sid', qemu: '11.', libvirt: null, include: ['qemu-system-x86'] },
] as const;

export type QemuRoot = (typeof qemuRoots)[number];

export const rootFolder = ({ suite, include }: QemuRoot) =>
  buildRoot({ suite, include }, (line) => console.log(line));

export function declare(more: Record<string, unknown> = {}): Input<unknown> {
  return { desired: qemuDriveDefaults.schema.parse(more), assets: {} };
}

export async function planFor(host: StepHost, input: Input<unknown>): Promise<ResourcePlan> {
  return (await planOn(host, qemuDriveDefaults, input, await host.facts())).plan;
}

/** Plans, applies, plans again; the second plan must be empty. Both are told. */
export async function converge(
  host: StepHost,
  input: Input<unknown>,
): Promise<{ before: ResourcePlan; after: ResourcePlan }> {
  const { plan: before, steps } = await planOn(host, qemuDriveDefaults, input, await host.facts());
  expect(before.status, JSON.stringify(before)).toBe('change');
  const applied = await runSteps(host, steps);
  expect(applied.rc, applied.text).toBe(0);
  const after = await planFor(host, input);
  expect(after.status, JSON.stringify(after)).toBe('ok');
  return { before, after };
}

export const paths = (plan: ResourcePlan) =>
  'changes' in plan ? plan.changes.map((change) => change.path) : [];
export const warnings = (plan: ResourcePlan) => ('warnings' in plan ? (plan.warnings ?? []) : []);
