import { type FragmentDisk, fragmentArguments, type Traits } from './fragments.ts';
import { type DataPath, dataPaths, diskPath, socketOf } from './paths.ts';
import { everyHasVhostBlk } from './profile.ts';
import type { SeenQemu } from './qmp.ts';
import type { QemuDriveDefaults } from './schema.ts';

export type DeclaredDisk = QemuDriveDefaults['disks'][number];

/** What a host has for disks. */
export interface HostOffers {
  seen: readonly SeenQemu[];
  bridge: {
    /** the unit vhost-blk@ is installed */
    unit: boolean;
    /** /dev/vhost-blk is there: the module is loaded */
    device: boolean;
    /** disks that units serve */
    served: readonly ServedDisk[];
  };
}

/** A file of the bridge's units: what NAME serves, and where. */
export interface ServedDisk {
  name: string;
  source: string;
  socket: string;
}

export interface Choice {
  path: DataPath;
  reason: string;
}

/** The traits that all QEMUs of a host have. */
export function traitsOf({ seen }: Pick<HostOffers, 'seen'>): Traits {
  return {
    mapping: seen.length > 0 && seen.every((qemu) => qemu.mapping),
    reconnect: seen.length > 0 && seen.every((qemu) => qemu.reconnectMs) ? 'reconnect-ms' : 'reconnect',
  };
}

/** The data path of disks that are started directly, and why: vhost-blk, else the bridge, else virtio-blk. */
export function choosePath(declared: QemuDriveDefaults['data_path'], offers: HostOffers): Choice {
  if (declared !== 'auto') return { path: declared, reason: 'declared' };
  const { seen, bridge } = offers;
  const patched = everyHasVhostBlk(seen);
  if (patched && bridge.device) return { path: 'vhost-blk', reason: 'the QEMU here has vhost-blk-pci' };
  const reasons = [patched ? '/dev/vhost-blk is missing' : 'no QEMU here has vhost-blk-pci'];
  if (!bridge.unit) reasons.push('the bridge (unit vhost-blk@) is not installed');
  else if (!bridge.device) reasons.push('/dev/vhost-blk is missing');
  else if (seen.length === 0 || !seen.every((qemu) => qemu.vhostUser))
    reasons.push('not every QEMU here has vhost-user-blk-pci');
  else return { path: 'vhost-user-blk', reason: `the bridge to vhost_blk is installed, and ${reasons[0]}` };
  return { path: 'virtio-blk', reason: [...new Set(reasons)].join('; ') };
}

/** The data path of one declared disk. */
export function chooseDiskPath(profile: QemuDriveDefaults, disk: DeclaredDisk, offers: HostOffers): Choice {
  return choosePath(disk.data_path ?? profile.data_path, offers);
}

/** The data paths that a declared disk can have, whatever the host is like. */
export function possiblePaths(profile: QemuDriveDefaults, disk: DeclaredDisk): readonly DataPath[] {
  const declared = disk.data_path ?? profile.data_path;
  return declared === 'auto' ? dataPaths : [declared];
}

export function mayBeBridged(profile: QemuDriveDefaults, disk: DeclaredDisk): boolean {
  return possiblePaths(profile, disk).includes('vhost-user-blk');
}

/** The declared disks that the bridge serves on this host. */
export function bridgedDisks(profile: QemuDriveDefaults, offers: HostOffers): DeclaredDisk[] {
  if (profile.state === 'absent') return [];
  return profile.disks.filter((disk) => chooseDiskPath(profile, disk, offers).path === 'vhost-user-blk');
}

/** A declared disk as its fragment says it. */
export function fragmentDisk(
  disk: DeclaredDisk,
  path: DataPath,
  profile: QemuDriveDefaults,
  traits: Traits,
): FragmentDisk {
  const command = commandLine('qemu-system-x86_64', disk.name, path, profile, traits);
  const head = `# Part of blkfleet: ${disk.source} by ${path}. Changes by hand are drift.
#
# ${command}
`;
  return { id: disk.name, source: disk.source, socket: socketOf(disk.name), head };
}

/** A whole command line that boots a guest of two vCPUs and 1 GiB from a declared disk, on the terminal it is typed in. */
export function commandLine(
  program: string,
  name: string,
  path: DataPath,
  profile: QemuDriveDefaults,
  traits: Traits,
): string {
  const shared = path === 'vhost-user-blk';
  const own = fragmentArguments(path, name, profile, traits).map((word) =>
    word.startsWith('{') ? `'${word}'` : word,
  );
  return [
    program,
    `-machine q35,accel=kvm:tcg${shared ? ',memory-backend=ram' : ''}`,
    '-smp 2 -m 1G',
    ...(shared ? ['-object memory-backend-memfd,id=ram,size=1G,share=on'] : []),
    '-nographic',
    `-readconfig ${diskPath(name)}`,
    ...own,
  ].join(' ');
}
