import { cut, printable } from '../lib/terminal.ts';

/** Where the lab tells what it does: a title for each step, and lines below it while it runs. */
export interface Progress {
  /** starts a step */
  step(title: string): void;
  /** a line of the running step: raw output of a program, shown briefly */
  line(text: string): void;
  /** says something that stays */
  say(text: string): void;
  /** ends the last step; to be called before anything else writes */
  end(): void;
}

// Without a terminal every line would be kept; one in this time shows that it goes on.
const QUIET_MS = 2000;

/**
 * Progress as text. On a terminal the running step's last line is overwritten in place; elsewhere lines are thinned out.
 * @param stream stdout, or stderr where stdout carries JSON
 */
export function textProgress(stream: NodeJS.WriteStream): Progress {
  const live = stream.isTTY === true && process.env.CI === undefined;
  let started = 0;
  let shownAt = 0;
  let title = '';
  const clear = () => {
    if (live) stream.write('\r\x1b[K');
  };
  const seconds = () => `${((Date.now() - started) / 1000).toFixed(0)} s`;
  const end = () => {
    if (title === '') return;
    clear();
    // Quick steps need no word about their end.
    if (live || Date.now() - started >= QUIET_MS) stream.write(`  ${title}: ${seconds()}\n`);
    title = '';
  };
  return {
    step(text) {
      end();
      title = text;
      started = shownAt = Date.now();
      stream.write(live ? `  ${text} …` : `  ${text}\n`);
    },
    line(text) {
      const now = Date.now();
      if (now - shownAt < (live ? 100 : QUIET_MS)) return;
      const plain = printable(text.trim());
      if (plain === '') return;
      shownAt = now;
      const columns = Math.max(20, (stream.columns ?? 100) - 1);
      const shown = cut(`  ${title} … ${seconds()} | ${plain}`, columns);
      stream.write(live ? `\r\x1b[K${shown}` : `${shown}\n`);
    },
    say(text) {
      clear();
      stream.write(`  ${text}\n`);
    },
    end,
  };
}

/** Progress for nobody. */
export const silent: Progress = { step() {}, line() {}, say() {}, end() {} };
