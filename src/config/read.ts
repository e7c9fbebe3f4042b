import { isUtf8 } from 'node:buffer';
import { constants } from 'node:fs';
import { open, readdir } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { FleetError } from '../lib/errors.ts';
import { didYouMean } from '../lib/nearest.ts';

/** Largest YAML file that is read, in bytes. */
export const maxYamlBytes = 1024 * 1024;

/**
 * Reads a text file that an operator named: a regular file, UTF-8, at most 1 MiB. A byte order mark is dropped.
 * @throws FleetError E_FILE when it can not be read, E_YAML with a position when it is no UTF-8 text
 */
export async function readText(path: string): Promise<string> {
  const bytes = await readCapped(path);
  if (bytes[0] === 0xff && bytes[1] === 0xfe) throw encoding(path, 'is UTF-16 (little endian), not UTF-8');
  if (bytes[0] === 0xfe && bytes[1] === 0xff) throw encoding(path, 'is UTF-16 (big endian), not UTF-8');
  if (!isUtf8(bytes)) throw invalidUtf8(path, bytes);
  return bytes.toString('utf8').replace(/^\uFEFF/, '');
}

async function readCapped(path: string): Promise<Buffer> {
  // O_NONBLOCK: opening a FIFO must not wait for a writer; what it is gets known by fstat of what was opened.
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK).catch(async (error: unknown) => {
    throw await openFailure(path, error);
  });
  try {
    const stat = await file.stat();
    if (!stat.isFile())
      throw new FleetError({
        code: 'E_FILE',
        message: `${path} is ${stat.isDirectory() ? 'a folder' : 'not a regular file'}`,
        hint: 'name a YAML file',
      });
    const buffer = Buffer.alloc(Math.min(stat.size, maxYamlBytes) + 1);
    let length = 0;
    for (let got = -1; got !== 0 && length < buffer.length; length += got)
      got = (await file.read(buffer, length, buffer.length - length)).bytesRead;
    if (stat.size > maxYamlBytes || length > maxYamlBytes)
      throw new FleetError({
        code: 'E_FILE',
        message: `${path} is ${Math.ceil(stat.size / 1024)} KiB; YAML files may have up to 1024 KiB`,
      });
    return buffer.subarray(0, length);
  } catch (error) {
    throw error instanceof FleetError ? error : await openFailure(path, error);
  } finally {
    await file.close();
  }
}

async function openFailure(path: string, cause: unknown): Promise<FleetError> {
  const code = (cause as NodeJS.ErrnoException).code;
  if (code === 'ENOENT') {
    const siblings = await readdir(dirname(path)).catch(() => []);
    const hint = siblings.length === 0 ? undefined : didYouMean(basename(path), siblings);
    return new FleetError({ code: 'E_FILE', message: `${path} does not exist`, hint }, { cause });
  }
  const why = code === 'EACCES' ? 'is not readable for you' : `can not be read (${code ?? 'unknown error'})`;
  return new FleetError({ code: 'E_FILE', message: `${path} ${why}` }, { cause });
}

function encoding(path: string, what: string): FleetError {
  return new FleetError({
    code: 'E_YAML',
    message: `the file ${what}`,
    hint: 'save it as UTF-8',
    at: { file: path, line: 1, col: 1 },
  });
}

function invalidUtf8(path: string, bytes: Buffer): FleetError {
  let line = 1;
  let start = 0;
  for (let end = bytes.indexOf(0x0a); end !== -1; end = bytes.indexOf(0x0a, start)) {
    if (!isUtf8(bytes.subarray(start, end))) break;
    start = end + 1;
    line++;
  }
  const rest = bytes
    .subarray(start, Math.min(bytes.length, start + 4096))
    .toString('utf8')
    .split('\n')[0]!;
  const excerpt = rest.slice(0, 200);
  return new FleetError({
    code: 'E_YAML',
    message: 'the file holds bytes that are no UTF-8',
    hint: 'save it as UTF-8',
    at: { file: path, line, col: Math.max(0, rest.indexOf('\uFFFD')) + 1 },
    excerpt,
  });
}
