import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Log } from '../../../src/lab/debian/cache.ts';
import { buildRoot } from '../../../src/lab/debian/root.ts';
import type { BootRequest } from '../boot.ts';

// One version for all kernels, so that only the kernels differ.
const SUITE = 'bookworm';
const LOADER = '/lib64/ld-linux-x86-64.so.2';
// The last is where a library of fio's says that its own are.
const LIBRARIES = ['/lib/x86_64-linux-gnu', '/usr/lib/x86_64-linux-gnu', '/usr/lib/x86_64-linux-gnu/ceph'];

/** Where qemu-storage-daemon is in a guest. */
export const storageDaemon = '/usr/bin/qemu-storage-daemon';

/** qemu-storage-daemon with its libraries, as files for a guest. */
export function storageDaemonFiles(log: Log): Promise<NonNullable<BootRequest['files']>> {
  return programFiles(['qemu-system-common'], [storageDaemon], log);
}

/**
 * Programs of a Debian root with every library that they load, as files for a guest, where they are in the root.
 * @param packages what the root must have beside the base system
 * @param programs absolute paths in it
 */
export async function programFiles(
  packages: readonly string[],
  programs: readonly string[],
  log: Log,
): Promise<NonNullable<BootRequest['files']>> {
  const root = await buildRoot({ suite: SUITE, include: [...packages] }, log);
  const inRoot = (path: string) => join(root, path);
  const search = LIBRARIES.map(inRoot).join(':');
  const libraries = programs.flatMap((program) => {
    const options = ['--inhibit-cache', '--library-path', search, '--list', inRoot(program)];
    const listed = execFileSync(inRoot(LOADER), options, { encoding: 'utf8' });
    return [...listed.matchAll(/=> (\S+) \(0x/g)].map((match) => match[1]!.slice(root.length));
  });
  return [...new Set([...programs, LOADER, ...libraries])].map((path) => ({
    path,
    mode: 0o755,
    data: readFileSync(inRoot(path)),
  }));
}
