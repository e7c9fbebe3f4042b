import { cut, displayWidth } from '../lib/terminal.ts';
import type { Paint, Tone } from './paint.ts';

/** A piece of a line; its text is printable already. */
export type Segment = readonly [tone: Tone, text: string];

/** Joins segments to one line of at most `columns`, cut before it is coloured. */
export function fitLine(segments: readonly Segment[], columns: number, paint: Paint): string {
  let left = columns;
  let line = '';
  for (const [tone, text] of segments) {
    if (left <= 0) break;
    const part = Number.isFinite(left) ? cut(text, left) : text;
    line += paint(tone, part);
    if (part !== text) break;
    left -= displayWidth(part);
  }
  return line;
}

/**
 * Breaks printable text into lines of at most `columns`, at spaces where there are any, else inside a word. Nothing is
 * lost. Lines after the first begin with `indent` spaces, which is reduced where the width leaves no room.
 */
export function wrap(text: string, columns: number, indent = 0): string[] {
  if (!Number.isFinite(columns) || displayWidth(text) <= columns) return [text];
  const width = Math.max(columns, 2);
  const margin = ' '.repeat(Math.min(indent, Math.floor(width / 2)));
  const lines: string[] = [];
  let line = '';
  let used = 0;
  let empty = true;
  const feed = () => {
    lines.push(line.trimEnd());
    line = margin;
    used = margin.length;
    empty = true;
  };
  for (const word of text.match(/ +|[^ ]+/g) ?? []) {
    const blank = word.startsWith(' ');
    const size = displayWidth(word);
    if (blank) {
      // Blanks at a break vanish, except those that indent the first line.
      if (empty && lines.length > 0) continue;
      if (used + size >= width) feed();
      else {
        line += word;
        used += size;
      }
      continue;
    }
    if (!empty && used + size > width) feed();
    for (const character of size > width - used ? word : [word]) {
      const step = displayWidth(character);
      if (!empty && used + step > width) feed();
      line += character;
      used += step;
      empty = false;
    }
  }
  if (!empty) lines.push(line.trimEnd());
  return lines;
}

/** `hv01, hv02 … (38 hosts)`: the first names that fit, and how many there are. One host is its name alone. */
export function hostList(names: readonly string[], columns: number): string {
  if (names.length === 1) return names[0]!;
  const count = ` (${names.length} hosts)`;
  const room = Math.max(columns - count.length - 2, 0);
  const shown: string[] = [];
  let used = 0;
  for (const name of names) {
    if (shown.length > 0 && (shown.length >= 6 || used + name.length + 2 > room)) break;
    shown.push(name);
    used += displayWidth(name) + 2;
  }
  return `${shown.join(', ')}${shown.length < names.length ? ' …' : ''}${count}`;
}

/** `1 change`, `2 changes`. */
export function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

/** Elapsed time for people: `7s`, `2m05s`, `1h02m`. */
export function elapsed(milliseconds: number): string {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  if (seconds < 60) return `${seconds}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes}m${String(seconds % 60).padStart(2, '0')}s`;
  return `${Math.floor(minutes / 60)}h${String(minutes % 60).padStart(2, '0')}m`;
}
