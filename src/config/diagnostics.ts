import type { Diagnostic } from '../lib/errors.ts';
import { displayWidth, printable } from '../lib/terminal.ts';

export interface FormatOptions {
  color: boolean;
  /** columns to stay within; longer source lines are cut around the caret */
  columns?: number;
  /** default error */
  level?: 'error' | 'warning';
}

/**
 * Makes findings readable: `file:line:col error[E_CODE] message`, then the source line with a caret, then the hint.
 * Pure; whatever a file or a host put into the texts is made printable.
 */
export function formatDiagnostics(list: readonly Diagnostic[], options: FormatOptions): string {
  return list.map((diagnostic) => formatOne(diagnostic, options)).join('\n');
}

function formatOne(diagnostic: Diagnostic, options: FormatOptions): string {
  const paint = options.color ? paints : plain;
  const { at, excerpt } = diagnostic;
  const head = [
    ...(at ? [paint.bold(`${printable(at.file)}:${at.line}:${at.col}`)] : []),
    options.level === 'warning' ? paint.bold('warning') : paint.red(`error[${diagnostic.code}]`),
    ...(diagnostic.host ? [`host ${printable(diagnostic.host)}:`] : []),
    ...(diagnostic.task ? [`task "${printable(diagnostic.task)}":`] : []),
    printableLines(diagnostic.message),
  ].join(' ');
  const lines = [head];
  const margin = ' '.repeat(String(at?.line ?? '').length);
  if (at !== undefined && excerpt !== undefined && excerpt.trim() !== '') {
    const { text, caret } = cutAround(excerpt, at.col - 1, (options.columns ?? 100) - 8);
    lines.push(`${paint.dim(`  ${at.line} |`)} ${text}`);
    lines.push(`${paint.dim(`  ${margin} |`)} ${' '.repeat(caret)}${paint.red('^')}`);
  }
  if (diagnostic.hint !== undefined)
    lines.push(`  ${margin} ${paint.dim('=')} ${printableLines(diagnostic.hint)}`);
  return lines.join('\n');
}

function printableLines(text: string): string {
  return text.split('\n').map(printable).join('\n      ');
}

/** Cuts a source line to a window that holds the caret; answers in columns of a terminal. */
function cutAround(line: string, offset: number, columns: number): { text: string; caret: number } {
  const width = Math.max(20, columns);
  // Tabs become one blank each so that the caret stays below its character.
  const clean = (part: string) => printable(part.replaceAll('\t', ' '));
  let start = 0;
  if (displayWidth(clean(line.slice(0, offset))) > width - 10)
    start = Math.max(0, offset - Math.floor(width / 2));
  const before = (start > 0 ? '…' : '') + clean(line.slice(start, offset));
  const caret = displayWidth(before);
  let text = before;
  for (const character of clean(line.slice(offset, offset + width))) {
    if (displayWidth(text) + displayWidth(character) > width - 1) return { text: `${text}…`, caret };
    text += character;
  }
  return { text: offset + width < line.length ? `${text}…` : text, caret };
}

const plain = { bold: (s: string) => s, red: (s: string) => s, dim: (s: string) => s };
const paints: typeof plain = {
  bold: (s) => `\u001b[1m${s}\u001b[22m`,
  red: (s) => `\u001b[31m${s}\u001b[39m`,
  dim: (s) => `\u001b[2m${s}\u001b[22m`,
};
