import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { FleetError } from '../../lib/errors.ts';
import type { BecomePasswordFlags } from '../become-password.ts';

/** Flags of every command that reaches hosts. */
export interface ConnectionFlags extends BecomePasswordFlags {
  hostKeys: string;
  sshConfig?: string | undefined;
  knownHosts?: string[] | undefined;
}

export type HostKeyMode = 'strict' | 'accept-new';

/** @throws FleetError E_USAGE */
export function hostKeyMode(flags: ConnectionFlags): HostKeyMode {
  return oneOf('--host-keys', flags.hostKeys, ['strict', 'accept-new'] as const);
}

/**
 * Files that flags name are looked at before any host is contacted. A new key may go into a file that is yet to be made.
 * @throws FleetError E_FILE
 */
export async function checkConnectionFiles(flags: ConnectionFlags, hostKeys: HostKeyMode): Promise<void> {
  if (flags.sshConfig !== undefined) await checkReadable('--ssh-config', flags.sshConfig);
  for (const [index, file] of (flags.knownHosts ?? []).entries())
    await checkReadable('--known-hosts', file, hostKeys === 'accept-new' && index === 0);
}

/** The value of a flag that takes one of some words. @throws FleetError E_USAGE */
export function oneOf<T extends string>(flag: string, value: string, allowed: readonly T[]): T {
  const found = allowed.find((word) => word === value);
  if (!found)
    throw new FleetError({
      code: 'E_USAGE',
      message: `${flag} ${value}: expected ${allowed.join(' or ')}`,
    });
  return found;
}

async function checkReadable(flag: string, file: string, mayLack = false): Promise<void> {
  try {
    if ((await stat(file)).isDirectory()) throw new Error('it is a folder');
    await access(file, constants.R_OK);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' && mayLack) return;
    const why =
      code === 'ENOENT' ? 'it does not exist' : code === 'EACCES' ? 'it is not readable for you' : message;
    throw new FleetError({ code: 'E_FILE', message: `${flag} ${file}: ${why}` });
  }
}
