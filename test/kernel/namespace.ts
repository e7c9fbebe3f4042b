import { join } from 'node:path';
import { shellQuote } from '../../src/lib/shell.ts';

/**
 * The command line that runs a script inside a Debian root, which it does not change: what is mounted there is so in a
 * mount namespace that ends with the script, as do all its processes.
 * @param root folder of the root
 * @param mounts folders: where in the root → what, both there already
 * @param script POSIX sh
 */
export function inRoot(root: string, mounts: Readonly<Record<string, string>>, script: string): string[] {
  const binds = Object.entries(mounts).map(
    ([inside, outside]) => `mount --bind ${shellQuote(outside)} ${shellQuote(join(root, inside))}`,
  );
  const outside = [
    'set -e',
    ...binds,
    // objtool of newer kernels reads it.
    `mount -t proc proc ${shellQuote(join(root, 'proc'))}`,
    `exec chroot ${shellQuote(root)} /bin/sh -c ${shellQuote(script)}`,
  ].join('\n');
  // --kill-child ends make and all below it with unshare.
  const command = ['unshare', '--mount', '--pid', '--fork', '--kill-child', 'sh', '-c', outside];
  const env = ['env', '-i', 'PATH=/usr/sbin:/usr/bin:/sbin:/bin', 'LC_ALL=C', 'HOME=/root'];
  return [...(process.getuid?.() === 0 ? [] : ['sudo', '-n']), ...env, ...command];
}
