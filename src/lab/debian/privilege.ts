import { spawn } from 'node:child_process';
import { FleetError } from '../../lib/errors.ts';

type Argv = readonly [string, ...string[]];

// Root of a user namespace is this user outside of it: what it makes is ours to remove, what it runs ours to stop.
const unshare = ['unshare', '--map-root-user', '--map-auto', '--mount', '--'];
const sudo = ['sudo', '-n', '--'];

let prefix: Promise<readonly string[]> | undefined;

/**
 * The command line that runs a program as root, or as one who may make a Debian root: in a user namespace with this
 * user's subordinate ids, else by sudo where that asks for no password.
 * @throws FleetError E_FILE where there is no way
 */
export async function asRoot(argv: Argv): Promise<[string, ...string[]]> {
  prefix ??= findWay();
  const [first, ...rest] = [...(await prefix), ...argv];
  return [first!, ...rest];
}

async function findWay(): Promise<readonly string[]> {
  if (process.getuid?.() === 0) return [];
  for (const way of [unshare, sudo]) if (await works([...way, 'true'])) return way;
  throw new FleetError({
    code: 'E_FILE',
    message: 'making a Debian root needs root rights, and this user has no way to them',
    hint:
      'give this user subordinate ids (package uidmap; `usermod --add-subuids 100000-165535 --add-subgids 100000-165535' +
      ' USER` as root), or sudo without a password, or run this as root',
  });
}

function works(argv: readonly string[]): Promise<boolean> {
  const [program, ...args] = argv;
  return new Promise((resolve) => {
    const child = spawn(program!, args, { stdio: 'ignore' });
    child.once('error', () => resolve(false));
    child.once('exit', (status) => resolve(status === 0));
  });
}

/** Sends a signal to a process group that we started; one of root's, made through sudo, is reached through sudo. */
export function signalGroup(pid: number, signal: 'SIGTERM' | 'SIGKILL'): void {
  try {
    process.kill(-pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return;
    spawn('sudo', ['-n', '--', 'kill', `-${signal.slice(3)}`, '--', `-${pid}`], { stdio: 'ignore' })
      .once('error', () => {})
      .unref();
  }
}
