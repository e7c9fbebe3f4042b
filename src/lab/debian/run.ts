import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { FleetError } from '../../lib/errors.ts';
import type { Log } from './cache.ts';
import { signalGroup } from './privilege.ts';

export interface RunOptions {
  log?: Log;
  cwd?: string;
  env?: Readonly<Record<string, string>>;
  /** ends the command and what it started with SIGTERM, and after a while with SIGKILL; it has ended when we return */
  signal?: AbortSignal;
  /** what to do when the command fails */
  hint?: string;
}

const LAST_LINES = 15;
const GRACE_MS = 20_000;

/**
 * Runs a program to its end, every line of its output to `log` as it comes.
 * @returns stdout, whole
 * @throws FleetError E_STEP with the last lines when it fails, E_FILE when the program is missing
 */
export async function runTool(
  argv: readonly [string, ...string[]],
  options: RunOptions = {},
): Promise<string> {
  const [program, ...rest] = argv;
  options.signal?.throwIfAborted();
  const child = spawn(program, rest, {
    cwd: options.cwd,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...process.env,
      // Users other than root have no folder of system programs in theirs, where mke2fs and debugfs are.
      PATH: `${process.env.PATH ?? '/usr/bin:/bin'}:/usr/sbin:/sbin`,
      LC_ALL: 'C.UTF-8',
      DEBIAN_FRONTEND: 'noninteractive',
      ...options.env,
    },
    // A group of its own can be ended as a whole, also what its parent has left.
    detached: options.signal !== undefined,
  });
  const disarm = endOnAbort(child, options.signal);
  const last: string[] = [];
  let stdout = '';
  const take = (line: string) => {
    if (line.trim() === '') return;
    last.push(line);
    if (last.length > LAST_LINES) last.shift();
    options.log?.(line);
  };
  eachLine(child.stdout, (line) => {
    stdout += `${line}\n`;
    take(line);
  });
  eachLine(child.stderr, take);
  const status = await new Promise<number | string>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve(code ?? signal ?? 'unknown'));
  })
    .catch((cause: NodeJS.ErrnoException) => {
      if (cause.code === 'ENOENT')
        throw new FleetError({
          code: 'E_FILE',
          message: `the program ${program} is not installed`,
          hint: options.hint ?? '`npm run quickstart` installs what is missing',
        });
      throw cause;
    })
    .finally(disarm);
  options.signal?.throwIfAborted();
  if (status !== 0)
    throw new FleetError({
      code: 'E_STEP',
      message: `${program} failed (${status}):\n${last.map((line) => `    ${line}`).join('\n')}`,
      hint: options.hint,
    });
  return stdout;
}

function endOnAbort(child: ChildProcess, signal: AbortSignal | undefined): () => void {
  let hard: NodeJS.Timeout | undefined;
  const onAbort = () => {
    if (child.pid === undefined) return;
    const { pid } = child;
    signalGroup(pid, 'SIGTERM');
    hard = setTimeout(() => signalGroup(pid, 'SIGKILL'), GRACE_MS);
  };
  signal?.addEventListener('abort', onAbort, { once: true });
  return () => {
    clearTimeout(hard);
    signal?.removeEventListener('abort', onAbort);
  };
}

// apt and mmdebstrap redraw a line with carriage returns; each redraw is a line of progress.
function eachLine(stream: Readable, take: (line: string) => void): void {
  createInterface({ input: stream, crlfDelay: Number.POSITIVE_INFINITY }).on('line', take);
}
