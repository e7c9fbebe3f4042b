import { type ErrorCode, FleetError } from '../lib/errors.ts';
import { cut, printable } from '../lib/terminal.ts';

/** An error about one host. `message` may quote what the host said: pass that through `quoteHost` first. */
export function failure(
  host: string,
  code: ErrorCode,
  message: string,
  hint?: string,
  cause?: unknown,
): FleetError {
  return new FleetError({ code, host, message, hint }, { cause });
}

/** Adds the host to an error that was made where it is not known. */
export function withHost(host: string, error: unknown): FleetError {
  if (!(error instanceof FleetError)) {
    const text = error instanceof Error ? error.message : String(error);
    return failure(host, 'E_BUG', `unexpected: ${text}`, undefined, error);
  }
  const [first, ...rest] = error.diagnostics;
  if (first?.host !== undefined) return error;
  return new FleetError([{ ...first!, host }, ...rest], { cause: error.cause });
}

/**
 * The last meaningful line of what a host printed, made safe for a message.
 * @param output untrusted bytes
 * @returns at most 200 columns of one line, without the colon or stop it ends with; '' when there is none
 */
export function quoteHost(output: Buffer): string {
  const tail = output.subarray(Math.max(0, output.length - 4096)).toString('utf8');
  const lines = tail.split(/[\r\n]+/).filter((line) => line.trim() !== '');
  return cut(printable(lines.at(-1)?.trim() ?? ''), 200).replace(/[.:]$/, '');
}
