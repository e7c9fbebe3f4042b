import { spawn } from 'node:child_process';

const QUIET_MS = 4000;
const AGAIN_MS = 1500;

/**
 * Runs a program to its end, its output passed on. When it prints nothing for a while, a line says that it goes on.
 * A signal that this process gets goes to the program, which ends first.
 * @param {readonly [string, ...string[]]} argv
 * @param {object} [options]
 * @param {string} [options.title] what it does, for the line that says so; without it the program must tell itself
 * @param {boolean} [options.capture] stdout is returned instead of passed on
 * @param {boolean} [options.own] the program cares for Ctrl-C itself: it gets it once, from us, not from the terminal too
 * @param {NodeJS.ProcessEnv} [options.env] added to the environment
 * @returns {Promise<{ status: number, stdout: string, signal: NodeJS.Signals | null }>} status 127 where it can not be
 *   started; signal is what this process got meanwhile
 */
export function run(argv, { title, capture = false, own = false, env = {} } = {}) {
  const [program, ...args] = argv;
  return new Promise((resolve) => {
    const output = title === undefined ? 'inherit' : 'pipe';
    const child = spawn(program, args, {
      stdio: [own ? 'ignore' : 'inherit', capture ? 'pipe' : output, output],
      detached: own,
      env: { ...process.env, ...env },
    });
    const started = Date.now();
    let spoke = started;
    let stdout = '';
    let got = null;
    const pass = (stream) => (chunk) => {
      spoke = Date.now();
      stream.write(chunk);
    };
    if (capture) {
      child.stdout.setEncoding('utf8');
      child.stdout.on('data', (text) => {
        stdout += text;
      });
    } else child.stdout?.on('data', pass(process.stdout));
    child.stderr?.on('data', pass(process.stderr));
    const beat = setInterval(() => {
      if (title === undefined || Date.now() - spoke < QUIET_MS) return;
      spoke = Date.now();
      console.log(`  ${title} … ${Math.round((spoke - started) / 1000)} s`);
    }, 1000);
    let forwarded = 0;
    const forward = (name) => {
      got ??= name;
      // npm hands on what the terminal has already sent.
      if (Date.now() - forwarded < AGAIN_MS) return;
      forwarded = Date.now();
      if (own || name !== 'SIGINT') child.kill(name);
    };
    const names = ['SIGINT', 'SIGTERM', 'SIGHUP'];
    for (const name of names) process.on(name, forward);
    const done = (status) => {
      clearInterval(beat);
      for (const name of names) process.off(name, forward);
      resolve({ status, stdout, signal: got });
    };
    child.once('error', (error) => {
      console.error(`${program}: ${error.message}`);
      done(127);
    });
    child.once('close', (code) => done(code ?? 1));
  });
}
