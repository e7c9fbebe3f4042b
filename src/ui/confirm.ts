import { createInterface } from 'node:readline';
import { printable } from '../lib/terminal.ts';

export interface ConfirmStreams {
  input: NodeJS.ReadStream;
  output: NodeJS.WriteStream;
}

/**
 * Asks one y/N question on a terminal.
 * @param question one line; made printable
 * @returns true only for `y` or `yes`. An empty answer, another one, end of input, Ctrl-C, and any stream that is no
 * terminal are no; without a terminal nothing is asked or printed.
 */
export function confirm(
  question: string,
  streams: ConfirmStreams = { input: process.stdin, output: process.stderr },
): Promise<boolean> {
  const { input, output } = streams;
  if (!input.isTTY || !output.isTTY) return Promise.resolve(false);
  const lines = createInterface({ input, output, terminal: true });
  return new Promise((resolve) => {
    let answer: string | undefined;
    lines.on('SIGINT', () => lines.close());
    lines.once('close', () => {
      if (answer === undefined) output.write('\n');
      resolve(/^\s*y(es)?\s*$/i.test(answer ?? ''));
    });
    lines.question(`${printable(question)} [y/N] `, (text) => {
      answer = text;
      lines.close();
    });
  });
}
