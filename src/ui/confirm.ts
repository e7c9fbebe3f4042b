import { createInterface } from 'node:readline';
import { printable } from '../lib/terminal.ts';

export interface ConfirmStreams {
  input: NodeJS.ReadStream;
  output: NodeJS.WriteStream;
}

export interface ConfirmOptions extends ConfirmStreams {
  /** called at Ctrl-C, which the terminal gives to the question alone */
  onInterrupt: () => void;
  /** takes the question back; the answer is no then */
  signal: AbortSignal;
}

/**
 * Asks one y/N question on a terminal.
 * @param question one line; made printable
 * @returns true only for `y` or `yes`. An empty answer, another one, end of input, Ctrl-C, and any stream that is no
 * terminal are no; without a terminal nothing is asked or printed.
 */
export function confirm(question: string, options: Partial<ConfirmOptions> = {}): Promise<boolean> {
  const { input = process.stdin, output = process.stderr, signal, onInterrupt } = options;
  if (!input.isTTY || !output.isTTY || signal?.aborted) return Promise.resolve(false);
  const lines = createInterface({ input, output, terminal: true });
  return new Promise((resolve) => {
    let answer: string | undefined;
    const close = () => lines.close();
    lines.on('SIGINT', () => {
      close();
      onInterrupt?.();
    });
    signal?.addEventListener('abort', close, { once: true });
    lines.once('close', () => {
      signal?.removeEventListener('abort', close);
      if (answer === undefined) output.write('\n');
      resolve(/^\s*y(es)?\s*$/i.test(answer ?? ''));
    });
    lines.question(`${printable(question)} [y/N] `, (text) => {
      answer = text;
      lines.close();
    });
  });
}
