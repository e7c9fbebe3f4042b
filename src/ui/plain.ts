import type { FleetEvent } from '../events/events.ts';
import { activityLine, eventLines } from './event-lines.ts';
import { fitLine, type Segment } from './layout.ts';
import type { Paint } from './paint.ts';
import { RunState } from './run-state.ts';

const heartbeatMs = 5000;
/** Hosts named in one heartbeat; the rest are counted. */
const heartbeatHosts = 4;
const activityColumns = 160;

/** Prints one line an event that matters, and a few lines of what is running whenever nothing was said for a while. */
export class PlainProgress {
  readonly #state = new RunState();
  readonly #write: (text: string) => void;
  readonly #paint: Paint;
  readonly #verbose: number;
  readonly #brief: boolean;
  readonly #timer: NodeJS.Timeout;
  #spoke = Date.now();

  constructor(write: (text: string) => void, paint: Paint, verbose: number, brief = false) {
    this.#write = write;
    this.#paint = paint;
    this.#verbose = verbose;
    this.#brief = brief;
    this.#timer = setInterval(() => this.#heartbeat(), 1000);
    this.#timer.unref();
  }

  take(event: FleetEvent): void {
    this.#state.take(event);
    this.#say(eventLines(event, this.#verbose, this.#brief), Number.POSITIVE_INFINITY);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #say(lines: readonly (readonly Segment[])[], columns: number): void {
    if (lines.length === 0) return;
    this.#spoke = Date.now();
    this.#write(lines.map((line) => `${fitLine(line, columns, this.#paint)}\n`).join(''));
  }

  #heartbeat(): void {
    const now = Date.now();
    const { active } = this.#state;
    if (active.size === 0 || now - this.#spoke < heartbeatMs) return;
    // Oldest first: the one that hangs is the one to name.
    const oldest = [...active.values()].sort((a, b) => a.since - b.since);
    const lines = oldest.slice(0, heartbeatHosts).map((host) => activityLine(host, now));
    if (oldest.length > heartbeatHosts)
      lines.push([['quiet', `… ${oldest.length - heartbeatHosts} more running`]]);
    this.#say(lines, activityColumns);
  }
}
