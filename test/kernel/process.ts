import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';

/** How a program ended: its exit code, or the reason it has none. */
export type Ended =
  | { code: number }
  | { code: null; reason: 'timeout' | 'stopped' }
  | { code: null; reason: 'signal'; signal: NodeJS.Signals | null };

const alive = new Set<number>();

/**
 * Runs a program in a process group of its own, with all output in a file, and ends the whole group when the time is over
 * or this process exits.
 * @param argv program and arguments
 * @param options output file (made anew), time limit in ms, a signal that ends it sooner, folder and environment of the program
 */
export function runLogged(
  argv: readonly string[],
  options: {
    output: string;
    timeoutMs: number;
    signal?: AbortSignal;
    cwd?: string;
    env?: NodeJS.ProcessEnv;
  },
): Promise<Ended> {
  const out = openSync(options.output, 'w');
  return new Promise((resolve, reject) => {
    // Also when this process is killed and runs no handler, the program goes with it.
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', ...argv], {
      stdio: ['ignore', out, out],
      detached: true,
      cwd: options.cwd,
      env: options.env ?? process.env,
    });
    closeSync(out);
    const pid = child.pid;
    let timedOut = false;
    const timer = setTimeout(() => {
      timedOut = true;
      if (pid !== undefined) killGroup(pid);
    }, options.timeoutMs);
    const stop = () => pid !== undefined && killGroup(pid);
    options.signal?.addEventListener('abort', stop);
    if (pid !== undefined) alive.add(pid);
    child.once('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    child.once('exit', (code, signal) => {
      clearTimeout(timer);
      options.signal?.removeEventListener('abort', stop);
      if (pid !== undefined) alive.delete(pid);
      if (timedOut) resolve({ code: null, reason: 'timeout' });
      else if (code === null && options.signal?.aborted) resolve({ code: null, reason: 'stopped' });
      else if (code === null) resolve({ code: null, reason: 'signal', signal });
      else resolve({ code });
    });
  });
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // It ended in the meantime.
  }
}

process.once('exit', () => {
  for (const pid of alive) killGroup(pid);
});
