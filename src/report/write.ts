import { randomBytes } from 'node:crypto';
import { access, constants, open, realpath, rename, stat, unlink, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { FleetError } from '../lib/errors.ts';

/**
 * Writes a report so that a reader sees the old file or the whole new one, readable by its owner alone (0600): it may
 * quote files of hosts. A link is followed; a pipe or device such as /dev/stdout is written as it is.
 * @throws FleetError E_FILE with the path, when it is a directory or can not be written
 */
export async function writeReport(path: string, text: string): Promise<void> {
  try {
    const found = await stat(path).catch(ignoreMissing);
    if (found?.isDirectory()) throw new Error('it is a directory');
    if (found && !found.isFile()) return await writeFile(path, text);
    await replaceFile(found ? await realpath(path) : path, text);
  } catch (error) {
    throw notWritable(path, error);
  }
}

/**
 * Whether a report could be written there, as far as that can be known before there is one.
 * @throws FleetError E_FILE, as writeReport
 */
export async function checkReportPath(path: string): Promise<void> {
  try {
    if (path === '') throw new Error('the name is empty');
    const found = await stat(path).catch(ignoreMissing);
    if (found?.isDirectory()) throw new Error('it is a directory');
    if (found && !found.isFile()) await access(path, constants.W_OK);
    else await access(dirname(found ? await realpath(path) : path), constants.W_OK | constants.X_OK);
  } catch (error) {
    throw notWritable(path, error);
  }
}

function notWritable(path: string, cause: unknown): FleetError {
  const message = `the report can not be written to ${path}: ${(cause as Error).message}`;
  const hint = 'name a file in an existing folder that you may write';
  return new FleetError({ code: 'E_FILE', message, hint }, { cause });
}

function ignoreMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code === 'ENOENT') return undefined;
  throw error;
}

async function replaceFile(path: string, text: string): Promise<void> {
  const temporary = join(dirname(path), `.${basename(path).slice(0, 200)}.${randomBytes(6).toString('hex')}`);
  const file = await open(temporary, 'wx', 0o600);
  try {
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await unlink(temporary).catch(() => {});
    throw error;
  }
}
