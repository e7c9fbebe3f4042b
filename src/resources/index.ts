import { command } from './command/index.ts';
import { dkms } from './dkms/index.ts';
import { file } from './file/index.ts';
import { kernel } from './kernel/index.ts';
import { kernelModule } from './kernel_module/index.ts';
import type { ResourceKind } from './kind.ts';
import { packages } from './package/index.ts';
import { qcow2Device } from './qcow2_device/index.ts';
import { qemuDriveDefaults } from './qemu_drive_defaults/index.ts';

/** The registry: every resource kind by the key that names it in a task. */
export const kinds: ReadonlyMap<string, ResourceKind> = new Map(
  [kernel, packages, file, dkms, kernelModule, qcow2Device, qemuDriveDefaults, command].map((kind) => [
    kind.kind,
    kind,
  ]),
);
