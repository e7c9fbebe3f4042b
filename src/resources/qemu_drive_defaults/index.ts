import { defineKind } from '../kind.ts';
import { planQemu } from './plan.ts';
import { parseQemu, probeQemu, type QemuState } from './probe.ts';
import { type QemuDriveDefaults, qemuDriveDefaultsSchema } from './schema.ts';
import { qemuSteps } from './steps.ts';
import { qemuClaims, qemuExample, qemuHabits } from './words.ts';

/** Defaults for the disks of guests, where QEMU is started directly. */
export const qemuDriveDefaults = defineKind<QemuDriveDefaults, QemuState>({
  kind: 'qemu_drive_defaults',
  summary:
    "Defaults for guests' disks in QEMU's own configuration, and a ready fragment a data path, read back as QEMU sees them",
  schema: qemuDriveDefaultsSchema,
  example: qemuExample,
  habits: qemuHabits,
  claims: qemuClaims,
  probe: probeQemu,
  parse: parseQemu,
  plan: planQemu,
  steps: qemuSteps,
});
