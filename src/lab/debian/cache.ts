import { spawn } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { FleetError } from '../../lib/errors.ts';

/** Takes one line of progress. */
export type Log = (line: string) => void;

/**
 * The folder of everything that can be made again: `$BLKFLEET_CACHE`, else `$XDG_CACHE_HOME/blkfleet`, else
 * `~/.cache/blkfleet`. It need not exist yet.
 */
export function cacheFolder(env: NodeJS.ProcessEnv = process.env): string {
  if (env.BLKFLEET_CACHE) return env.BLKFLEET_CACHE;
  return join(env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'blkfleet');
}

/**
 * Runs `work` while this process alone holds the lock file. The kernel's flock frees it when the process dies, however
 * it dies: the holder is a child that ends with our pipe.
 * @param file the lock file; made where absent, never removed
 * @param log told once when another process holds the lock
 */
export async function withLock<T>(file: string, log: Log, work: () => Promise<T>): Promise<T> {
  await mkdir(dirname(file), { recursive: true }).catch((cause: NodeJS.ErrnoException) => {
    throw new FleetError(
      {
        code: 'E_FILE',
        message: `can not make the folder ${dirname(file)}: ${cause.code ?? cause.message}`,
        hint: 'the environment variable BLKFLEET_CACHE names another cache folder',
      },
      { cause },
    );
  });
  const holder = spawn('flock', ['-x', file, 'sh', '-c', 'echo held; exec cat'], {
    stdio: ['pipe', 'pipe', 'ignore'],
    // Ctrl-C reaches the whole foreground group; the lock must outlive our own clean-up.
    detached: true,
  });
  const waiting = setTimeout(
    () => log('waiting for another blkfleet process that makes the same thing'),
    1000,
  );
  try {
    await new Promise<void>((resolve, reject) => {
      const lines = createInterface({ input: holder.stdout });
      lines.once('line', () => resolve());
      holder.once('error', reject);
      holder.once('exit', () => reject(new Error('flock ended early')));
    }).catch((cause) => {
      throw new FleetError(
        { code: 'E_FILE', message: `can not lock ${file}`, hint: 'flock of util-linux is needed' },
        { cause },
      );
    });
    clearTimeout(waiting);
    return await work();
  } finally {
    clearTimeout(waiting);
    holder.stdin.on('error', () => {});
    holder.stdin.end();
  }
}
