import type { Diagnostic } from '../lib/errors.ts';
import { printable } from '../lib/terminal.ts';

/** Makes findings readable: `file:line:col error[E_CODE] message`, the source line, a caret, the hint. */
export function formatDiagnostics(list: readonly Diagnostic[], options: { color: boolean }): string {
  const bold = (text: string) => (options.color ? `\x1b[1;31m${text}\x1b[0m` : text);
  return list.map((finding) => formatOne(finding, bold)).join('\n');
}

function formatOne({ at, code, message, excerpt, hint, host, task }: Diagnostic, bold: (t: string) => string): string {
  const place = at ? `${printable(at.file)}:${at.line}:${at.col} ` : '';
  const who = [host, task].filter((text) => text !== undefined).map((text) => `${printable(text!)}: `);
  const lines = [`${place}${bold(`error[${code}]`)} ${who.join('')}${printable(message)}`];
  if (excerpt !== undefined && at) {
    const number = String(at.line);
    // Tabs are shown as one blank so that the caret stands below what it means.
    const shown = printable(excerpt.replaceAll('\t', ' ')).slice(0, 200);
    lines.push(`  ${number} | ${shown}`);
    if (at.col <= 200) lines.push(`  ${' '.repeat(number.length)} | ${' '.repeat(at.col - 1)}^`);
  }
  if (hint !== undefined) lines.push(`  hint: ${printable(hint)}`);
  return lines.join('\n');
}
