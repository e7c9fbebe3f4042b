import { defineKind } from '../kind.ts';
import { planQemu } from './plan.ts';
import { parseQemu, probeQemu, type QemuState } from './probe.ts';
import { type QemuDriveDefaults, qemuDriveDefaultsSchema } from './schema.ts';
import { qemuSteps } from './steps.ts';
import { qemuClaims, qemuExample, qemuHabits } from './words.ts';

/** One profile for the disks of guests, for QEMU that is started directly, by libvirt, or by a manager. */
export const qemuDriveDefaults = defineKind<QemuDriveDefaults, QemuState>({
  kind: 'qemu_drive_defaults',
  summary:
    "One profile for guests' disks, written into what composes QEMU's command line there, and read back as QEMU sees it",
  schema: qemuDriveDefaultsSchema,
  example: qemuExample,
  habits: qemuHabits,
  claims: qemuClaims,
  probe: probeQemu,
  parse: parseQemu,
  plan: planQemu,
  steps: qemuSteps,
});
