import type { Listr } from 'listr2';
import type { FleetEvent, HostReport } from '../../events/events.ts';
import { BoundedRenderer, type Drawing } from './renderer.ts';

interface Pending {
  title: string;
  done: Promise<void>;
  settle(error?: Error): void;
}

/** The run as listr2 sees it: one task a host, which ends when the host does. listr2 is loaded at the first run. */
export class HostTasks {
  readonly #drawing: Drawing;
  readonly #hosts = new Map<string, Pending>();
  #run: Promise<void> | undefined;

  constructor(drawing: Drawing) {
    this.#drawing = drawing;
  }

  start(event: Extract<FleetEvent, { type: 'run-started' }>): void {
    if (this.#run) return;
    for (const host of event.hosts) this.#hosts.set(host, pending(host));
    this.#run = this.#render();
  }

  finish(host: string, report: HostReport): void {
    const bad = report.status === 'failed' || report.status === 'unreachable';
    this.#hosts.get(host)?.settle(bad ? new Error(report.error?.message ?? report.status) : undefined);
  }

  /** Ends the tasks that are still open, and waits until the renderer has closed. */
  async stop(): Promise<void> {
    for (const host of this.#hosts.values()) host.settle();
    await this.#run;
  }

  async #render(): Promise<void> {
    const { Listr: List } = await import('listr2');
    const tasks = [...this.#hosts.values()].map(({ title, done }) => ({ title, task: () => done }));
    const list: Listr<unknown, typeof BoundedRenderer> = new List(tasks, {
      concurrent: true,
      exitOnError: false,
      // listr2's own handler would end the process in the middle of a run.
      registerSignalListeners: false,
      renderer: BoundedRenderer,
      rendererOptions: { drawing: this.#drawing },
    });
    try {
      await list.run();
    } finally {
      // With exitOnError off, listr2 leaves the renderer running when a task throws outside its own guard.
      this.#drawing.close();
    }
  }
}

function pending(title: string): Pending {
  let settle: Pending['settle'] = () => {};
  const done = new Promise<void>((resolve, reject) => {
    settle = (error) => (error ? reject(error) : resolve());
  });
  // A host may fail before listr2 is loaded and looks at its task.
  done.catch(() => {});
  return { title, done, settle };
}
