import type { EventSink } from '../events/events.ts';
import { LiveProgress } from './live/live.ts';
import { createPaint, wantsColour } from './paint.ts';
import { PlainProgress } from './plain.ts';

export interface ProgressOptions {
  /** where people look: stderr, so that stdout holds the result alone */
  stream: NodeJS.WriteStream;
  /** 'auto' (default) is live on a terminal that can move its cursor and is not a CI's */
  mode?: 'auto' | 'plain' | 'live';
  /** overrides the stream's own width in live mode */
  columns?: number;
  /** 0 (default): what matters; 1: every task; 2: every line that a step prints (plain mode) */
  verbose?: number;
  /** a report that tells every error follows, so that plain lines name its code alone */
  brief?: boolean;
}

export interface Progress {
  sink: EventSink;
  /** Ends the display, gives the cursor back; safe to call twice. Events after it are ignored. */
  stop(): Promise<void>;
  /** Clears the live display while `work` owns the terminal (a plan, a question), then goes on. */
  suspend<T>(work: () => Promise<T>): Promise<T>;
}

/** Shows a run's events on a stream: redrawn on a terminal, else one line an event. */
export function createProgress(options: ProgressOptions): Progress {
  const { stream, mode = 'auto', columns, verbose = 0, brief = false } = options;
  const paint = createPaint(wantsColour(stream));
  const live = mode === 'live' || (mode === 'auto' && canRedraw(stream));
  if (live) {
    const display = new LiveProgress(stream, paint, columns, verbose);
    return {
      sink: (event) => display.take(event),
      stop: () => display.stop(),
      suspend: (work) => display.suspend(work),
    };
  }
  const printer = new PlainProgress((text) => stream.write(text), paint, verbose, brief);
  let stopped = false;
  return {
    sink: (event) => {
      if (!stopped) printer.take(event);
    },
    stop: async () => {
      stopped = true;
      printer.stop();
    },
    suspend: (work) => work(),
  };
}

/** A terminal that moves its cursor, watched by a person. */
export function canRedraw(stream: { isTTY?: boolean }, env: NodeJS.ProcessEnv = process.env): boolean {
  const ci = env.CI !== undefined && env.CI !== '' && env.CI !== 'false' && env.CI !== '0';
  return stream.isTTY === true && !ci && env.TERM !== 'dumb';
}
