import { servedText } from './bridge/files.ts';
import {
  chooseDiskPath,
  choosePath,
  type DeclaredDisk,
  fragmentDisk,
  type HostOffers,
  mayBeBridged,
  possiblePaths,
  traitsOf,
} from './data-path.ts';
import { everyTraits, fragmentText, type Traits, templateText } from './fragments.ts';
import { type DataPath, dataPaths, diskPath, fragmentPath, servedPath } from './paths.ts';
import { everyHasVhostBlk } from './profile.ts';
import type { QemuDriveDefaults } from './schema.ts';

/** A file that is blkfleet's alone, with the texts that it may have on hosts of any kind. */
export interface OwnFile {
  path: string;
  candidates: readonly string[];
}

/** The files for the bridge that a declaration may need, which can be others', too. */
export function servedFiles(profile: QemuDriveDefaults): OwnFile[] {
  if (profile.state === 'absent') return [];
  return profile.disks
    .filter((disk) => mayBeBridged(profile, disk))
    .map((disk) => ({ path: servedPath(disk.name), candidates: [servedText(disk, profile)] }));
}

/** All files of a declaration, so that a host can tell by a hash that one is as it may be. */
export function ownFiles(profile: QemuDriveDefaults): OwnFile[] {
  const templates = dataPaths.map((path) => ({
    path: fragmentPath(path),
    candidates: distinct((traits) => [templateText(path, profile, traits)]),
  }));
  const disks = profile.disks.map((disk) => ({
    path: diskPath(disk.name),
    candidates: distinct((traits) =>
      possiblePaths(profile, disk).map((p) => diskText(p, disk, profile, traits)),
    ),
  }));
  return [...templates, ...disks];
}

/** The texts of a declaration's files on this host; null where one shall not be there. */
export function ownTexts(profile: QemuDriveDefaults, offers: HostOffers): Map<string, string | null> {
  const texts = new Map<string, string | null>();
  const present = profile.state === 'present';
  const traits = traitsOf(offers);
  const patched = everyHasVhostBlk(offers.seen) || profile.data_path === 'vhost-blk';
  for (const path of dataPaths)
    texts.set(
      fragmentPath(path),
      present && (path !== 'vhost-blk' || patched) ? templateText(path, profile, traits) : null,
    );
  for (const disk of profile.disks) {
    const { path } = chooseDiskPath(profile, disk, offers);
    texts.set(diskPath(disk.name), present ? diskText(path, disk, profile, traits) : null);
  }
  return texts;
}

/** What disk.conf points to. */
export function chosenTarget(profile: QemuDriveDefaults, offers: HostOffers): string | null {
  return profile.state === 'present' ? `${choosePath(profile.data_path, offers).path}.conf` : null;
}

function diskText(path: DataPath, disk: DeclaredDisk, profile: QemuDriveDefaults, traits: Traits): string {
  return fragmentText(path, fragmentDisk(disk, path, profile, traits), profile, traits);
}

function distinct(texts: (traits: Traits) => readonly string[]): string[] {
  return [...new Set(everyTraits.flatMap(texts))];
}
