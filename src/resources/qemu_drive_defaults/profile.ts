import type { SeenQemu } from './qmp.ts';
import { AUTO_QUEUES, type QemuDriveDefaults } from './schema.ts';

/** The drivers whose properties are defaulted; each is a `driver` of a `[global]` group. */
export type Driver = 'virtio-blk-pci' | 'vhost-blk-pci';

/** Properties that a `[global]` group can default, in the order of the file. */
export const properties = ['num-queues', 'queue-size', 'discard', 'write-cache'] as const;
export type Property = (typeof properties)[number];

/** The declared value of each property that can be a default of the device, as QEMU's text. */
export function declaredValues(profile: QemuDriveDefaults): Record<Property, string> {
  return {
    'num-queues': String(profile.queues === 'vcpus' ? AUTO_QUEUES : profile.queues),
    'queue-size': String(profile.queue_size),
    discard: profile.discard === 'unmap' ? 'on' : 'off',
    'write-cache': profile.cache === 'none' || profile.cache === 'writeback' ? 'on' : 'off',
  };
}

/** The lines between the marks in qemu.conf; `properties` that a driver of a patched QEMU lacks are left out. */
export function sectionText(profile: QemuDriveDefaults, seen: readonly SeenQemu[]): string {
  const values = declaredValues(profile);
  const group = (driver: Driver, property: Property) =>
    `[global]\n  driver = "${driver}"\n  property = "${property}"\n  value = "${values[property]}"\n`;
  const own = properties.map((property) => group('virtio-blk-pci', property));
  const patched = properties
    .filter((property) => everyHasVhostBlk(seen) && seen.every((qemu) => qemu.vhostBlk!.includes(property)))
    .map((property) => group('vhost-blk-pci', property));
  return [...own, ...patched].join('');
}

/** True where a `[global]` for vhost-blk-pci means something to each QEMU: one that lacks it warns at every start. */
export function everyHasVhostBlk(seen: readonly SeenQemu[]): boolean {
  return seen.length > 0 && seen.every((qemu) => qemu.vhostBlk !== null);
}
