import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const repository = fileURLToPath(new URL('../../../', import.meta.url));

export interface Output {
  status: number | null;
  stdout: string;
  stderr: string;
}

/** The CLI as it is shipped, built into a folder of its own. */
export class BuiltCli {
  readonly #folder: string;

  constructor() {
    // Under node_modules, so that what stays outside of the bundle is found from there.
    const cache = join(repository, 'node_modules/.cache');
    mkdirSync(cache, { recursive: true });
    this.#folder = mkdtempSync(join(cache, 'cli-'));
    const build = ['src/bootstrap/build.mjs', join(this.#folder, 'dist')];
    execFileSync(process.execPath, build, { cwd: repository });
  }

  /** Runs it in the repository's folder, without a terminal; `leaves` reads no further than the first byte. */
  run(args: readonly string[], { leaves = false } = {}): Promise<Output> {
    return this.#spawn([process.execPath, join(this.#folder, 'dist/cli.js'), ...args], leaves);
  }

  /** Runs a line of bash, in which `"$@"` is the CLI with these arguments. */
  shell(line: string, args: readonly string[]): Promise<Output> {
    return this.#spawn([
      'bash',
      '-c',
      line,
      'bash',
      process.execPath,
      join(this.#folder, 'dist/cli.js'),
      ...args,
    ]);
  }

  #spawn([command, ...args]: readonly string[], leaves = false): Promise<Output> {
    const child = spawn(command!, args, {
      cwd: repository,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, NO_COLOR: '1' },
    });
    const output: Output = { status: null, stdout: '', stderr: '' };
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output.stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      output.stderr += text;
    });
    if (leaves)
      for (const stream of [child.stdout, child.stderr])
        stream.once('data', () => {
          child.stdout.destroy();
          child.stderr.destroy();
        });
    return new Promise((resolve, reject) => {
      child.on('error', reject).on('close', (status) => resolve({ ...output, status }));
    });
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
