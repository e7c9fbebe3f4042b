import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { RunReport } from '../../../src/events/events.ts';
import { shellQuote } from '../../../src/lib/shell.ts';
import type { Fleet, Output } from './fleet.ts';

const repository = fileURLToPath(new URL('../../../', import.meta.url));
export const CLI = join(repository, 'dist/cli.js');

export interface CliOptions {
  cwd?: string;
  env?: Readonly<Record<string, string>>;
  /** what stands on stdin; empty by default, and never a terminal */
  input?: string;
}

/** A run of dist/cli.js as a user starts it, in the fleet's network. */
export interface CliRun {
  readonly process: ChildProcess;
  readonly done: Promise<Output>;
  /** stdout and stderr so far */
  seen(): string;
}

/** Starts the CLI in the fleet's network, with an empty home of its own that knows the hosts' keys. */
export function startCli(fleet: Fleet | null, args: readonly string[], options: CliOptions = {}): CliRun {
  if (!existsSync(CLI)) throw new Error('dist/cli.js is not built: npm run build');
  const argv = [process.execPath, CLI, ...args];
  const [command, rest] = fleet ? fleet.inNetwork(argv) : [argv[0] ?? '', argv.slice(1)];
  const child = spawn(command, rest, {
    cwd: options.cwd ?? repository,
    stdio: 'pipe',
    env: {
      PATH: process.env.PATH,
      HOME: fleet ? join(fleet.folder, 'home') : process.env.HOME,
      LC_ALL: 'C.UTF-8',
      ...options.env,
    },
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text) => {
    stderr += text;
  });
  child.stdin.on('error', () => {});
  child.stdin.end(options.input ?? '');
  const done = new Promise<Output>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (status) => resolve({ status, stdout, stderr }));
  });
  return { process: child, done, seen: () => stdout + stderr };
}

/**
 * Runs the CLI in a terminal made by script(1), and types an answer when the screen ends with a prompt.
 * @returns all that the terminal showed
 */
export function inTerminal(
  fleet: Fleet,
  args: readonly string[],
  prompt: RegExp,
  answer: string,
): Promise<{ status: number | null; screen: string }> {
  const line = [process.execPath, CLI, ...args].map(shellQuote).join(' ');
  const [command, rest] = fleet.inNetwork(['script', '-q', '-e', '-c', line, '/dev/null']);
  const child = spawn(command, rest, {
    cwd: repository,
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { PATH: process.env.PATH, HOME: join(fleet.folder, 'home'), TERM: 'xterm', SHELL: '/bin/sh' },
  });
  let screen = '';
  let answered = false;
  child.stdout.setEncoding('utf8').on('data', (text) => {
    screen += text;
    if (answered || !prompt.test(screen)) return;
    answered = true;
    child.stdin.write(answer);
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (status) => resolve({ status, screen }));
  });
}

/** Runs the CLI to its end. */
export function cli(fleet: Fleet | null, args: readonly string[], options?: CliOptions): Promise<Output> {
  return startCli(fleet, args, options).done;
}

/** The document that `--json` printed; throws when stdout holds anything else. */
export function report(output: Output): RunReport {
  try {
    return JSON.parse(output.stdout) as RunReport;
  } catch {
    throw new Error(
      `stdout is not one JSON document (exit ${output.status}):\n${output.stdout}\n${output.stderr}`,
    );
  }
}
