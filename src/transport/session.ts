import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';
import type { FleetError } from '../lib/errors.ts';
import type { Frame, ScriptRequest, ScriptResult } from './connection.ts';
import { failure, quoteHost, withHost } from './failure.ts';
import { FrameParser } from './frames.ts';
import { coalesce, newNonce, wrapScript } from './script.ts';
import { TailBuffer } from './tail.ts';

const KEPT_STDERR = 64 * 1024;
/** How long stderr and the exit may follow the script's last line. */
const LINGER_MS = 250;

/** A shell that reads a script from `stdin`: a channel of ssh, or a process here. */
export interface ShellChannel {
  readonly stdin: Writable;
  readonly stdout: Readable;
  readonly stderr: Readable;
  /** settles once, when the far end is gone; never rejects */
  readonly over: Promise<ShellEnd>;
  /** gives the channel up; may be called at any time, and twice */
  close(): void;
}

export interface ShellEnd {
  status: number | null;
  signal: string | null;
  /** the link broke: nobody knows what became of the shell */
  lost: boolean;
}

/** Says why no shell took the script, from how the channel ended and what it printed instead. */
export type ExplainSilence = (end: ShellEnd, stderr: Buffer, stdout: Buffer) => FleetError;

/**
 * Sends one script and reads its answer until its last line.
 * @param explain called when the channel ends before the script began
 * @throws FleetError with the host: E_LIMIT, E_PROTOCOL, E_TIMEOUT, E_UNREACHABLE, E_INTERRUPTED, or what `explain` says
 */
export function runScript(
  host: string,
  channel: ShellChannel,
  request: ScriptRequest,
  explain: ExplainSilence,
): Promise<ScriptResult> {
  return new Promise((resolve, reject) => {
    const frames = new Map<string, Frame>();
    const stderr = new TailBuffer(KEPT_STDERR);
    let settled = false;
    let linger: NodeJS.Timeout | undefined;

    const settle = (outcome: () => void) => {
      if (settled) return;
      settled = true;
      clearTimeout(deadline);
      clearTimeout(linger);
      request.signal?.removeEventListener('abort', onAbort);
      channel.close();
      outcome();
    };
    const fail = (error: unknown) => settle(() => reject(withHost(host, error)));
    const done = () => settle(() => resolve({ frames, status: parser.status, stderr: stderr.bytes() }));
    const onAbort = () => fail(failure(host, 'E_INTERRUPTED', 'interrupted while a script was running'));

    const parser = new FrameParser({
      nonce: newNonce(),
      maxBytes: request.maxBytes,
      streamId: request.streamId,
      onChunk: (chunk) => settled || request.onChunk?.(chunk),
      onFrame: (frame) => {
        if (settled) return;
        if (request.onFrame) request.onFrame(frame);
        else if (frames.has(frame.id)) throw failure(host, 'E_PROTOCOL', `two answers for '${frame.id}'`);
        else frames.set(frame.id, frame);
        if (request.isLast?.(frame)) done();
      },
    });

    const deadline = setTimeout(() => {
      const hint = 'the host may still be at it; look there, then run again';
      fail(failure(host, 'E_TIMEOUT', `the script did not end within ${request.deadline} s`, hint));
    }, request.deadline * 1000);

    channel.stdout.on('data', (chunk: Buffer) => {
      // After the end everything is read and dropped: a channel that is not read never closes.
      if (settled || parser.status !== null) return;
      try {
        parser.push(chunk);
        if (parser.status !== null) linger = setTimeout(done, LINGER_MS);
      } catch (error) {
        fail(error);
      }
    });
    channel.stderr.on('data', (chunk: Buffer) => {
      if (settled) return;
      stderr.push(chunk);
      if (stderr.total > request.maxBytes)
        fail(failure(host, 'E_LIMIT', `the host sent more than ${request.maxBytes} bytes on stderr`));
    });
    channel.over.then((end) => {
      // A shell that a signal ended may have run its trap, which knows of no signal.
      const agrees = end.lost || (end.signal === null && (end.status ?? parser.status) === parser.status);
      if (parser.status !== null && agrees) return done();
      if (parser.begun) return fail(endedEarly(host, end, stderr.bytes()));
      if (end.lost) return fail(linkLost(host));
      return fail(explain(end, stderr.bytes(), parser.noise));
    });

    if (request.signal?.aborted) return onAbort();
    request.signal?.addEventListener('abort', onAbort, { once: true });
    // EPIPE and the like: how the channel ends tells more.
    channel.stdin.on('error', () => {});
    send(channel, wrapScript(parser.nonce, request.body), () => settled).catch(fail);
  });
}

/** Writes a script with back-pressure, then ends stdin. Stops quietly once `gone` or the channel is over. */
async function send(
  channel: ShellChannel,
  chunks: Iterable<string | Buffer>,
  gone: () => boolean,
): Promise<void> {
  for (const chunk of coalesce(chunks)) {
    if (gone() || !channel.stdin.writable) return;
    if (!channel.stdin.write(chunk)) {
      const waiting = new AbortController();
      await Promise.race([
        once(channel.stdin, 'drain', { signal: waiting.signal }).catch(() => {}),
        channel.over,
      ]);
      waiting.abort();
    }
  }
  if (!gone() && channel.stdin.writable) channel.stdin.end();
}

/** The error for a link that broke under a script. */
export function linkLost(host: string, cause?: unknown): FleetError {
  return failure(
    host,
    'E_UNREACHABLE',
    'the connection was lost',
    'a job that was started there goes on; run again to collect its result',
    cause,
  );
}

function endedEarly(host: string, end: ShellEnd, stderr: Buffer): FleetError {
  if (end.lost) return linkLost(host);
  const how = end.signal ? `was ended by ${end.signal}` : `ended with status ${end.status}`;
  const said = quoteHost(stderr);
  return failure(host, 'E_PROTOCOL', `the shell ${how} before the script did${said && `: ${said}`}`);
}
