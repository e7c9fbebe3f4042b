import type { FleetEvent, HostReport } from '../../events/events.ts';
import { eventLines, hostLine, noticeLines } from '../event-lines.ts';
import { fitLine, type Segment } from '../layout.ts';
import type { Paint } from '../paint.ts';
import { RunState } from '../run-state.ts';
import { frameLines } from './frame.ts';
import { HostTasks } from './host-tasks.ts';
import type { Drawing } from './renderer.ts';
import { Screen } from './screen.ts';

const fallbackRows = 24;
const fallbackColumns = 80;

/** The live display: events change the state at once, the renderer draws it at its own pace. */
export class LiveProgress implements Drawing {
  readonly #stream: NodeJS.WriteStream;
  readonly #paint: Paint;
  readonly #columns: number | undefined;
  readonly #verbose: number;
  readonly #state = new RunState();
  readonly #screen: Screen;
  readonly #tasks = new HostTasks(this);
  /** ordinary lines that wait for the next drawing */
  #above = '';
  #suspended = false;
  #stopped = false;
  readonly #onResize = () => this.#screen.clear();

  constructor(stream: NodeJS.WriteStream, paint: Paint, columns: number | undefined, verbose: number) {
    this.#stream = stream;
    this.#paint = paint;
    this.#columns = columns;
    this.#verbose = verbose;
    this.#screen = new Screen(stream);
    stream.on('resize', this.#onResize);
  }

  take(event: FleetEvent): void {
    if (this.#stopped) return;
    this.#state.take(event);
    this.#keep(this.#lastingLines(event));
    if (event.type === 'run-started') this.#tasks.start(event);
    else if (event.type === 'host-finished') this.#tasks.finish(event.host, event.report);
  }

  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#stream.off('resize', this.#onResize);
    await this.#tasks.stop();
    this.close();
  }

  async suspend<T>(work: () => Promise<T>): Promise<T> {
    this.close();
    this.#suspended = true;
    try {
      return await work();
    } finally {
      this.#suspended = false;
    }
  }

  draw(): void {
    if (this.#suspended) return;
    // A terminal that does not know its size answers 0.
    const columns = this.#columns ?? (this.#stream.columns || fallbackColumns);
    const rows = this.#stream.rows || fallbackRows;
    const lines = frameLines(this.#state, Date.now(), { rows, columns }, this.#paint);
    if (this.#above === '') this.#screen.draw(lines);
    else this.#screen.printAbove(this.#above, lines);
    this.#above = '';
  }

  /** Leaves only the ordinary lines on the terminal, and the cursor shown. */
  close(): void {
    this.#screen.close();
    if (this.#above !== '') this.#stream.write(this.#above);
    this.#above = '';
  }

  /** What stays on the terminal above the live part: bad ends, warnings; with -v every status. */
  #lastingLines(event: FleetEvent): Segment[][] {
    if (this.#verbose > 0) return eventLines(event, this.#verbose - 1);
    if (event.type === 'host-finished') return isBad(event.report) ? [hostLine(event.report)] : [];
    return noticeLines(event);
  }

  #keep(lines: readonly (readonly Segment[])[]): void {
    for (const line of lines) this.#above += `${fitLine(line, Number.POSITIVE_INFINITY, this.#paint)}\n`;
  }
}

function isBad(report: HostReport): boolean {
  return report.status === 'failed' || report.status === 'unreachable';
}
