import { LOG_MARK } from './job-script.ts';

const MAX_LINE = 4096;
const KEPT_LINES = 20;

/** What a job's log tells while it is followed. */
export interface JobLogEvents {
  started(step: number): void;
  ended(step: number, rc: string, lastLines: readonly string[]): void;
  line(step: number, text: string): void;
}

/**
 * Reads the log of a job as it arrives: control lines that begin with the job's mark, and between them the raw output of
 * the running step. Lines are cut at 4 KiB, the last 20 of a step are kept for its failure.
 */
export class JobLogReader {
  /** bytes of the log seen so far: where to follow on after the link was lost */
  bytes = 0;
  /** what the log itself tells of the result; it ends with `cut` where the log has no end */
  readonly result: { status: JobResult['status']; steps: Map<number, string> } = {
    status: 'cut',
    steps: new Map(),
  };
  private pending = '';
  private step = -1;
  private last: string[] = [];
  private readonly decoder = new TextDecoder('utf-8');
  private prefix: string | null;
  private readonly events: JobLogEvents;

  /** @param mark null where the job is another run's and its mark is yet to be read */
  constructor(mark: string | null, events: JobLogEvents) {
    this.prefix = mark === null ? null : `${LOG_MARK}${mark} `;
    this.events = events;
  }

  /** Takes the mark from what the job's run wrote of it; until then, and where that makes no sense, all is output. */
  learn(meta: Buffer): void {
    this.prefix ??= prefixOf(meta);
  }

  push(chunk: Buffer): void {
    this.bytes += chunk.length;
    const text = this.pending + this.decoder.decode(chunk, { stream: true });
    const lines = text.split('\n');
    this.pending = lines.pop() ?? '';
    // A line without an end is cut here rather than grown without limit; a control line is never that long.
    if (this.pending.length > MAX_LINE) {
      lines.push(this.pending.slice(0, MAX_LINE));
      this.pending = '';
    }
    for (const line of lines) this.take(line);
  }

  private take(line: string): void {
    if (this.prefix !== null && line.startsWith(this.prefix)) this.control(line.slice(this.prefix.length));
    else if (line.trim() !== '' && !line.startsWith(LOG_MARK)) {
      // A carriage return redraws a line on a terminal: the last state is what counts.
      const shown = line.slice(0, MAX_LINE).replace(/\r+$/, '').split('\r').at(-1)!;
      if (this.last.push(shown) > KEPT_LINES) this.last.shift();
      this.events.line(this.step, shown);
    }
  }

  private control(text: string): void {
    const [verb, index, rc] = text.split(' ');
    if (verb === 'start' && /^\d+$/.test(index ?? '')) {
      this.step = Number(index);
      this.last = [];
      this.events.started(this.step);
    } else if (verb === 'end' && Number(index) === this.step) {
      this.result.steps.set(this.step, rc ?? '');
      this.events.ended(this.step, rc ?? '', this.last);
    } else if (verb === 'done') this.result.status = statusOf(index);
  }
}

function prefixOf(meta: Buffer): string | null {
  try {
    const { mark } = JSON.parse(meta.toString('utf8')) as { mark?: unknown };
    return typeof mark === 'string' && /^[0-9a-f]{8,64}$/.test(mark) ? `${LOG_MARK}${mark} ` : null;
  } catch {
    return null;
  }
}

/** What a job left as its result. */
export interface JobResult {
  /** `cut`: the host went down under it · `gone`: another run has seen its result and removed it */
  status: 'ok' | 'failed' | 'busy' | 'cut' | 'gone';
  /** exit code of each step that ran, by index: a number, or `guard` */
  steps: ReadonlyMap<number, string>;
}

/** Parses a job's result: how it ended and its steps; anything unknown is `cut`, as where the host went down under it. */
export function parseResult(body: Buffer): JobResult {
  const [status, ...rest] = body.toString('latin1', 0, 65536).trim().split('\n');
  const steps = new Map<number, string>();
  for (const line of rest) {
    const match = /^(\d{1,6}) (\d{1,3}|guard)$/.exec(line);
    if (match) steps.set(Number(match[1]), match[2]!);
  }
  return { status: statusOf(status), steps };
}

function statusOf(word: string | undefined): JobResult['status'] {
  return word === 'ok' || word === 'failed' || word === 'busy' || word === 'gone' ? word : 'cut';
}
