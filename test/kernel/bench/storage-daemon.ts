import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Log } from '../../../src/lab/debian/cache.ts';
import { buildRoot } from '../../../src/lab/debian/root.ts';
import type { BootRequest } from '../boot.ts';

// One version for all kernels, so that only the kernels differ.
const SUITE = 'bookworm';
/** Where it is in a guest. */
export const storageDaemon = '/usr/bin/qemu-storage-daemon';
const LOADER = '/lib64/ld-linux-x86-64.so.2';
const LIBRARIES = ['/lib/x86_64-linux-gnu', '/usr/lib/x86_64-linux-gnu'];

/** qemu-storage-daemon of a Debian root with every library that it loads, as files for a guest. */
export async function storageDaemonFiles(log: Log): Promise<NonNullable<BootRequest['files']>> {
  const root = await buildRoot({ suite: SUITE, include: ['qemu-system-common'] }, log);
  const inRoot = (path: string) => join(root, path);
  const listed = execFileSync(
    inRoot(LOADER),
    ['--inhibit-cache', '--library-path', LIBRARIES.map(inRoot).join(':'), '--list', inRoot(storageDaemon)],
    { encoding: 'utf8' },
  );
  const libraries = [...listed.matchAll(/=> (\S+) \(0x/g)].map((match) => match[1]!.slice(root.length));
  return [storageDaemon, LOADER, ...libraries].map((path) => ({
    path,
    mode: 0o755,
    data: readFileSync(inRoot(path)),
  }));
}
