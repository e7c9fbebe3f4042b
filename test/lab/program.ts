import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export const repository = fileURLToPath(new URL('../..', import.meta.url));

export interface Ended {
  /** null when a signal ended it */
  status: number | null;
  stdout: string;
  stderr: string;
  /** both, as they came */
  text: string;
  /** the longest time without a word, in seconds */
  silence: number;
  seconds: number;
}

export interface Running {
  child: ChildProcess;
  ended: Promise<Ended>;
  /** resolves once what was printed so far matches; rejects when the program ends before */
  says(pattern: RegExp): Promise<void>;
}

/** Starts a program in the repository, without a terminal. */
export function start(
  argv: readonly string[],
  env: Readonly<Record<string, string>> = {},
  stdin: 'ignore' | 'pipe' = 'ignore',
): Running {
  const [program, ...args] = argv;
  const child = spawn(program!, args, {
    cwd: repository,
    stdio: [stdin, 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  });
  const began = Date.now();
  let spoke = began;
  let silence = 0;
  const out = { stdout: '', stderr: '', text: '' };
  const waiting = new Set<() => void>();
  const take = (stream: 'stdout' | 'stderr') => (chunk: Buffer) => {
    const now = Date.now();
    silence = Math.max(silence, now - spoke);
    spoke = now;
    out[stream] += chunk;
    out.text += chunk;
    for (const look of waiting) look();
  };
  child.stdout!.on('data', take('stdout'));
  child.stderr!.on('data', take('stderr'));
  const ended = new Promise<Ended>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (status) => {
      const now = Date.now();
      resolve({
        ...out,
        status,
        silence: Math.max(silence, now - spoke) / 1000,
        seconds: (now - began) / 1000,
      });
    });
  });
  const says = (pattern: RegExp) =>
    new Promise<void>((resolve, reject) => {
      const look = () => {
        if (!pattern.test(out.text)) return;
        waiting.delete(look);
        resolve();
      };
      waiting.add(look);
      look();
      ended.then(() => reject(new Error(`ended without ${pattern}:\n${out.text}`)), reject);
    });
  return { child, ended, says };
}

/** Runs the built CLI to its end. */
export function blkfleet(...args: readonly string[]): Promise<Ended> {
  return start([process.execPath, 'dist/cli.js', ...args]).ended;
}
