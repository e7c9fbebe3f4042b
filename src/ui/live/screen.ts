import { writeSync } from 'node:fs';
import { stripVTControlCharacters } from 'node:util';
import { displayWidth } from '../../lib/terminal.ts';

const hideCursor = '\x1b[?25l';
const showCursor = '\x1b[?25h';
const eraseLine = '\x1b[K';
const eraseBelow = '\x1b[J';

/**
 * The last lines of a terminal, drawn over and over. It writes to its stream only and leaves every stream's methods
 * alone. The cursor stays hidden below the drawn lines until `close`, and comes back also when the process exits without it.
 */
export class Screen {
  readonly #stream: NodeJS.WriteStream;
  #drawn: string[] = [];
  #widths: number[] = [];
  #open = false;
  readonly #onExit = () => writeLast(this.#stream, showCursor);

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream;
  }

  /** Replaces the drawn lines; unchanged ones cost nothing. Lines must fit the width: none may wrap. */
  draw(lines: readonly string[]): void {
    this.#enter();
    let out = this.#toTop();
    lines.forEach((line, index) => {
      out += line === this.#drawn[index] ? '\n' : `\r${line}${eraseLine}\n`;
    });
    if (lines.length < this.#drawn.length) out += eraseBelow;
    this.#remember(lines);
    this.#stream.write(out);
  }

  /** Prints ordinary lines above the drawn ones, and draws these anew below. */
  printAbove(text: string, lines: readonly string[]): void {
    this.#enter();
    const drawn = lines.map((line) => `${line}\n`).join('');
    this.#stream.write(`${this.#toTop()}\r${eraseBelow}${text}${drawn}`);
    this.#remember(lines);
  }

  /** Erases what is drawn, e.g. since the width changed and the terminal may have wrapped it. */
  clear(): void {
    if (this.#drawn.length === 0) return;
    this.#stream.write(`${this.#toTop()}\r${eraseBelow}`);
    this.#remember([]);
  }

  /** Erases what is drawn and gives the cursor back. */
  close(): void {
    if (!this.#open) return;
    this.clear();
    this.#stream.write(showCursor);
    process.removeListener('exit', this.#onExit);
    this.#open = false;
  }

  #enter(): void {
    if (this.#open) return;
    this.#open = true;
    process.once('exit', this.#onExit);
    this.#stream.write(hideCursor);
  }

  #remember(lines: readonly string[]): void {
    this.#drawn = [...lines];
    this.#widths = [];
  }

  /** Moves to the first drawn line, counting rows that a narrower window has wrapped since. */
  #toTop(): string {
    if (this.#drawn.length === 0) return '';
    if (this.#widths.length === 0) {
      this.#widths = this.#drawn.map((line) => displayWidth(stripVTControlCharacters(line)));
    }
    const columns = this.#stream.columns || Number.POSITIVE_INFINITY;
    const rows = this.#widths.reduce((sum, width) => sum + Math.max(1, Math.ceil(width / columns)), 0);
    return `\x1b[${rows}A`;
  }
}

/** While the process exits only a synchronous write is sure to arrive. */
function writeLast(stream: NodeJS.WriteStream, text: string): void {
  const { fd } = stream as { fd?: number };
  try {
    if (typeof fd === 'number') writeSync(fd, text);
    else stream.write(text);
  } catch {
    // The terminal is gone; there is nobody to show a cursor to.
  }
}
