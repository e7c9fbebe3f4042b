import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';
import { printable } from '../lib/terminal.ts';
import type { ConfirmStreams } from './confirm.ts';

/**
 * Asks for one line on a terminal without showing what is typed.
 * @param prompt one line; made printable
 * @returns the line, or null: Ctrl-C, end of input, or a stream that is no terminal, where nothing is asked
 */
export function askSecret(
  prompt: string,
  streams: ConfirmStreams = { input: process.stdin, output: process.stderr },
): Promise<string | null> {
  const { input, output } = streams;
  if (!input.isTTY || !output.isTTY) return Promise.resolve(null);
  // readline echoes what it edits to its output: this one shows nothing.
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input, output: silent, terminal: true, historySize: 0 });
  // Only now: whoever answers a prompt must find the terminal's own echo off.
  output.write(`${printable(prompt)} `);
  return new Promise((resolve) => {
    let answer: string | null = null;
    lines.on('SIGINT', () => lines.close());
    lines.once('line', (text) => {
      answer = text;
      lines.close();
    });
    lines.once('close', () => {
      output.write('\n');
      resolve(answer);
    });
  });
}
