import type { DeclaredDisk } from '../data-path.ts';
import type { QemuDriveDefaults } from '../schema.ts';

/** How the first line of a file of disks.d begins that is blkfleet's; others are never written. */
export const MARK = '# Part of blkfleet, by qemu_drive_defaults.';

/** A disk's file for the bridge. Of the profile it can say `discard` alone: nothing is cached, and the threads are the kernel's. */
export function servedText({ source }: DeclaredDisk, { discard }: QemuDriveDefaults): string {
  return `${MARK} Changes by hand are drift.
disk = ${source}
discard = ${discard === 'unmap' ? 'yes' : 'no'}
`;
}

/** What a file says, as the bridge reads it: lines of KEY = VALUE, of a key that is there twice the last one. */
export function servedKeys(text: string): ReadonlyMap<string, string> {
  const keys = new Map<string, string>();
  for (const line of text.split('\n')) {
    const equals = line.indexOf('=');
    if (equals < 0 || line.trimStart().startsWith('#')) continue;
    keys.set(line.slice(0, equals).trim(), line.slice(equals + 1).trim());
  }
  return keys;
}

/**
 * Whether a bridge can go on by another file while its guest runs: the guest has been told of discard, of a disk that is
 * read-only, and its frontend comes back to the same socket.
 */
export function keepsGuest(from: ReadonlyMap<string, string>, to: ReadonlyMap<string, string>): boolean {
  const same = (key: string, standard: string) => (from.get(key) ?? standard) === (to.get(key) ?? standard);
  return (
    (same('discard', 'yes') || from.get('discard') === 'no') &&
    same('read-only', 'no') &&
    same('socket', '') &&
    same('device', '/dev/vhost-blk')
  );
}
