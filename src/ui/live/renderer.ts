import type { ListrRenderer } from 'listr2';

const drawMs = 125;

/** What the renderer drives; the display behind it knows what to draw. */
export interface Drawing {
  draw(): void;
  close(): void;
}

/**
 * A listr2 renderer whose cost does not depend on how much happens: it draws at fixed times and ignores listr2's
 * requests to refresh, which come with every change of every task.
 */
export class BoundedRenderer implements ListrRenderer {
  static rendererOptions: { drawing: Drawing };
  static rendererTaskOptions: never;
  // Whether a terminal is there has been decided before; listr2 would look at stdout, which may be a pipe.
  static nonTTY = true;

  readonly #drawing: Drawing;
  #timer: NodeJS.Timeout | undefined;

  constructor(_tasks: unknown, options: { drawing: Drawing }) {
    this.#drawing = options.drawing;
  }

  render(): void {
    this.#timer = setInterval(() => this.#drawing.draw(), drawMs);
    this.#timer.unref();
    this.#drawing.draw();
  }

  end(): void {
    clearInterval(this.#timer);
    this.#drawing.close();
  }
}
