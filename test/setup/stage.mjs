import { spawn } from 'node:child_process';

/**
 * Runs a program of the test run to its end, its output passed on.
 * @param {import('./leftovers.mjs').Leftovers} leftovers
 * @param {readonly string[]} argv
 * @param {{ env?: object, minutes?: number, signal: AbortSignal }} options after `minutes` it is ended and counts as
 *   failed; when the signal is aborted it gets SIGINT and half a minute to clean up
 * @returns {Promise<boolean>} whether it ended with 0
 */
export function runStage(leftovers, argv, { env = {}, minutes = 10, signal }) {
  const [program, ...args] = leftovers.command(argv);
  return new Promise((resolve) => {
    // A process group of its own: a Ctrl-C at the terminal reaches it through us, once.
    const child = spawn(program, args, {
      stdio: ['ignore', 'inherit', 'inherit'],
      detached: true,
      env: { ...process.env, ...leftovers.environment, ...env },
    });
    const timers = [];
    const send = (name) => {
      try {
        process.kill(-child.pid, name);
      } catch {
        // gone already
      }
    };
    const end = (name) => {
      send(name);
      timers.push(setTimeout(() => send('SIGKILL'), 30_000));
    };
    const onAbort = () => end('SIGINT');
    timers.push(
      setTimeout(() => {
        console.error(`${argv.join(' ')}: not done after ${minutes} minutes`);
        end('SIGTERM');
      }, minutes * 60_000),
    );
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
    const done = (ok) => {
      for (const timer of timers) clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
      resolve(ok);
    };
    child.once('error', (error) => {
      console.error(`${program}: ${error.message}`);
      done(false);
    });
    child.once('exit', (status) => done(status === 0));
  });
}
