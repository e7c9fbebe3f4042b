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
const QUIET_MS = 3000;

/**
 * Progress as text. On a terminal the running step's last line is overwritten in place; elsewhere lines are thinned out.
 * @param stream stdout, or stderr where stdout carries JSON
 */
export function textProgress(stream: NodeJS.WriteStream): Progress {
  const live = stream.isTTY === true && process.env.CI === undefined;
  let started = 0;
  let shownAt = 0;
  let title = '';
  let last = '';
  let beat: NodeJS.Timeout | undefined;
  const clear = () => {
    if (live) stream.write('\r\x1b[K');
  };
  const fitted = (text: string) => cut(text, Math.max(20, (stream.columns || 100) - 1));
  const seconds = () => `${((Date.now() - started) / 1000).toFixed(0)} s`;
  const show = () => {
    shownAt = Date.now();
    const shown = fitted(`  ${title} … ${seconds()}${last === '' ? '' : ` | ${last}`}`);
    stream.write(live ? `\r\x1b[K${shown}` : `${shown}\n`);
  };
  const end = () => {
    clearInterval(beat);
    if (title === '') return;
    clear();
    // Quick steps need no word about their end.
    if (live || Date.now() - started >= 2000) stream.write(`  ${title}: ${seconds()}\n`);
    title = '';
  };
  return {
    step(text) {
      end();
      title = text;
      last = '';
      started = shownAt = Date.now();
      stream.write(live ? fitted(`  ${text} …`) : `  ${text}\n`);
      // A program that says nothing for long still runs.
      beat = setInterval(() => {
        if (Date.now() - shownAt >= (live ? 1000 : QUIET_MS)) show();
      }, 500).unref();
    },
    line(text) {
      const plain = printable(text.trim());
      if (plain === '') return;
      last = plain;
      if (title !== '' && Date.now() - shownAt >= (live ? 100 : QUIET_MS)) show();
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
