import { FleetError } from '../lib/errors.ts';
import type { Frame } from './connection.ts';

const NEWLINE = 0x0a;
/** The longest rest of a control line: a verb, an id of 80 and a status, with room to spare. */
const MAX_CONTROL = 128;
const MAX_FRAMES = 20_000;
/** What a login shell may print before our script speaks; more is a shell that never hands over. */
const MAX_PREAMBLE = 256 * 1024;
const KEPT_NOISE = 2048;
const CONTROL = /^(?:h|b ([A-Za-z0-9._:-]{1,80})|e ([A-Za-z0-9._:-]{1,80}) (\d{1,3})|q (\d{1,3}))$/;

export interface FrameParserOptions {
  /** begins each control line: 32 hex digits that the host can not know before the script */
  nonce: string;
  /** cap over all bytes pushed */
  maxBytes: number;
  onFrame(frame: Frame): void;
  /** the frame with this id is handed to `onChunk` as it arrives; its own body stays empty */
  streamId?: string | undefined;
  onChunk?: ((chunk: Buffer) => void) | undefined;
}

/**
 * Reads a host's stdout, in chunks split anywhere, into frames. Control lines are `NONCE VERB …` between two newlines
 * that belong to them: `h` the script has begun, `b ID` and `e ID RC` around a body, `q RC` the script has ended. A body
 * is exact, with or without a newline of its own at its end; a streamed one may end with a newline too many. What stands outside frames is dropped. A frame that is
 * still open when another begins or the script ends was cut by its own commands: it is dropped, so it gives no answer.
 * Work is linear in the bytes, memory is bounded by `maxBytes`.
 */
export class FrameParser {
  /** the script has begun to run */
  begun = false;
  /** exit status of the script once it has ended, else null */
  status: number | null = null;
  readonly nonce: string;
  private readonly marker: Buffer;
  private readonly options: FrameParserOptions;
  private pending: Buffer | null = null;
  /** bytes at the start of `pending` that a streamed frame has been given already */
  private given = 0;
  private open: { id: string; streamed: boolean; chunks: Buffer[] } | null = null;
  private bytes = 0;
  private frames = 0;
  private kept: Buffer[] = [];
  private keptBytes = 0;

  constructor(options: FrameParserOptions) {
    this.options = options;
    this.nonce = options.nonce;
    this.marker = Buffer.from(`\n${options.nonce} `, 'latin1');
  }

  /** The first 2 KiB of what came before the script began: banners, or why it never did. */
  get noise(): Buffer {
    return Buffer.concat(this.kept).subarray(0, KEPT_NOISE);
  }

  /**
   * Takes the next chunk; calls `onFrame` and `onChunk` from within.
   * @throws FleetError E_LIMIT beyond a cap, E_PROTOCOL for a control line that makes no sense
   */
  push(chunk: Buffer): void {
    this.bytes += chunk.length;
    if (this.bytes > this.options.maxBytes)
      throw limit(`the host sent more than ${this.options.maxBytes} bytes`, 'its output was cut off there');
    const data = this.pending ? Buffer.concat([this.pending, chunk]) : chunk;
    this.pending = null;
    const given = this.given;
    this.given = 0;
    let from = 0;
    while (from < data.length && this.status === null) {
      const at = data.indexOf(this.marker, from);
      if (at < 0) {
        const held = this.markerPrefix(data, from);
        // Who follows a stream sees a line as it ends, not when the next one begins.
        const end = this.open?.streamed ? held + 1 : held;
        this.take(data.subarray(Math.max(from, given), end));
        if (held < data.length) {
          this.pending = Buffer.from(data.subarray(held));
          this.given = end - held;
        }
        return;
      }
      const line = at + this.marker.length;
      const end = data.subarray(line, line + MAX_CONTROL + 1).indexOf(NEWLINE);
      if (end < 0 && data.length - line <= MAX_CONTROL) {
        this.take(data.subarray(Math.max(from, given), at));
        this.pending = Buffer.from(data.subarray(at));
        return;
      }
      this.take(data.subarray(Math.max(from, given), at));
      this.control(end < 0 ? '' : data.toString('latin1', line, line + end));
      from = line + end + 1;
    }
  }

  /** Where a marker might begin that the next chunk completes; the data's length when none can. */
  private markerPrefix(data: Buffer, from: number): number {
    const newline = data.lastIndexOf(NEWLINE);
    if (newline < from || data.length - newline >= this.marker.length) return data.length;
    const tail = data.subarray(newline);
    return tail.equals(this.marker.subarray(0, tail.length)) ? newline : data.length;
  }

  private take(bytes: Buffer): void {
    if (bytes.length === 0) return;
    if (this.open) {
      if (this.open.streamed) this.options.onChunk?.(bytes);
      else this.open.chunks.push(bytes);
      return;
    }
    if (this.begun) return;
    if (this.bytes > MAX_PREAMBLE)
      throw limit(
        `the login shell printed more than ${MAX_PREAMBLE} bytes before the script began`,
        'look at the shell profile of the login user there',
      );
    if (this.keptBytes < KEPT_NOISE) {
      // A copy: a slice would keep the whole packet alive.
      this.kept.push(Buffer.from(bytes.subarray(0, KEPT_NOISE - this.keptBytes)));
      this.keptBytes += bytes.length;
    }
  }

  private control(line: string): void {
    const match = CONTROL.exec(line);
    if (!match) throw protocol('the host sent a control line that makes no sense');
    this.begun = true;
    const [, begins, ends, rc, quits] = match;
    if (begins !== undefined) {
      this.open = { id: begins, streamed: begins === this.options.streamId, chunks: [] };
    } else if (ends !== undefined) {
      if (!this.open) return;
      if (this.open.id !== ends) throw protocol(`frame '${this.open.id}' was ended as '${ends}'`);
      if (++this.frames > MAX_FRAMES)
        throw limit(`the host sent more than ${MAX_FRAMES} answers`, 'its output was cut off there');
      const body = Buffer.concat(this.open.chunks);
      this.open = null;
      this.options.onFrame({ id: ends, rc: Number(rc), body });
    } else if (quits !== undefined) {
      this.open = null;
      this.status = Number(quits);
    }
  }
}

function limit(message: string, hint: string): FleetError {
  return new FleetError({ code: 'E_LIMIT', message, hint });
}

function protocol(message: string): FleetError {
  return new FleetError({
    code: 'E_PROTOCOL',
    message,
    hint: 'something on the host writes into the answers; run with -vv to see them',
  });
}
