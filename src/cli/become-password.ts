import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { FleetError } from '../lib/errors.ts';
import { askSecret } from '../ui/ask-secret.ts';

/** Bytes of which a password and its end of line must be fewer. */
const maxPassword = 1024;

export interface BecomePasswordFlags {
  askBecomePass?: boolean | undefined;
  becomePasswordFile?: string | undefined;
}

/**
 * The sudo password of a run, from the first line of a file or asked once on the terminal; undefined when neither flag
 * is given. Never an argument: argv is for all users to see.
 * @throws FleetError E_USAGE, E_FILE, E_INTERRUPTED before any host is contacted
 */
export async function becomePassword(flags: BecomePasswordFlags): Promise<string | undefined> {
  const { askBecomePass: ask, becomePasswordFile: file } = flags;
  if (file !== undefined && ask)
    throw usage('--ask-become-pass and --become-password-file exclude each other', 'give one of them');
  if (file !== undefined) return fromFile(file);
  if (!ask) return undefined;
  if (!process.stdin.isTTY || !process.stderr.isTTY)
    throw usage(
      '--ask-become-pass needs a terminal',
      'without one: --become-password-file FILE, whose first line is the password',
    );
  const answer = await askSecret('sudo password:');
  if (answer === null) throw new FleetError({ code: 'E_INTERRUPTED', message: 'no password was given' });
  if (answer === '') throw usage('the password is empty', 'leave the flag out where sudo asks for none');
  return answer;
}

function fromFile(file: string): string {
  let text: string;
  try {
    text = readStart(file);
  } catch (error) {
    if (error instanceof FleetError) throw error;
    const { code } = error as NodeJS.ErrnoException;
    const why =
      { ENOENT: 'it does not exist', EACCES: 'it is not readable for you', EISDIR: 'it is a folder' }[
        code ?? ''
      ] ?? `it can not be read (${code})`;
    throw new FleetError({
      code: 'E_FILE',
      message: `--become-password-file ${file}: ${why}`,
      hint: 'its first line is the password that sudo wants; -K asks for it instead',
    });
  }
  const password = text.split('\n', 1)[0]!.replace(/\r$/, '');
  if (password === '') throw usage(`the first line of ${file} is empty`, 'write the password there');
  if (Buffer.byteLength(password) >= maxPassword || password.includes('\0'))
    throw usage(
      `the first line of ${file} is no password`,
      'it may be a line of up to 1023 bytes, without NUL',
    );
  return password;
}

/** As much as a password may be: a pipe is read to its end or to there, whichever comes first. */
function readStart(file: string): string {
  const descriptor = openSync(file, 'r');
  try {
    const status = fstatSync(descriptor);
    if (status.isFile() && (status.mode & 0o077) !== 0)
      throw usage(`others may read ${file}, which holds a password`, `chmod 600 ${file}`);
    const buffer = Buffer.alloc(maxPassword);
    let length = 0;
    for (let got = -1; got !== 0 && length < buffer.length; length += got)
      got = readSync(descriptor, buffer, length, buffer.length - length, null);
    return buffer.toString('utf8', 0, length);
  } finally {
    closeSync(descriptor);
  }
}

function usage(message: string, hint: string): FleetError {
  return new FleetError({ code: 'E_USAGE', message, hint });
}
