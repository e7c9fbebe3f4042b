import type { DiffEntry, TaskReport } from '../events/events.ts';
import type { Diagnostic } from '../lib/errors.ts';
import { printable } from '../lib/terminal.ts';
import { errorPlace, errorText, taskText } from './describe.ts';
import { wrap } from './layout.ts';
import { actionTone, type Paint, statusMark, type Tone } from './paint.ts';

const keptLogLines = 20;

/** Collects the lines of a report for one width; wraps them, so that nothing of a value is lost. */
export class Page {
  readonly lines: string[] = [];
  readonly paint: Paint;
  readonly columns: number;

  constructor(columns: number, paint: Paint) {
    this.columns = columns;
    this.paint = paint;
  }

  /** Adds printable text at an indent; wrapped lines stand two columns deeper. */
  add(indent: number, text: string, tone: Tone = 'plain'): void {
    for (const line of wrap(' '.repeat(indent) + text, this.columns, indent + 2)) {
      const margin = line.length - line.trimStart().length;
      this.lines.push(line.slice(0, margin) + this.paint(tone, line.slice(margin)));
    }
  }

  gap(): void {
    if (this.lines.length > 0 && this.lines.at(-1) !== '') this.lines.push('');
  }

  toString(): string {
    return this.lines.map((line) => `${line}\n`).join('');
  }
}

/** Adds a task with all that it changes, why it waits, its warnings and its error. */
export function addTask(page: Page, indent: number, task: TaskReport): void {
  const action = task.diff.find((entry) => entry.action)?.action;
  const held = isHeld(task);
  if (task.status === 'pending' && action && !held) {
    page.add(indent, `${action} ${taskText(task)}`, actionTone[action]);
  } else {
    const { glyph, tone } = statusMark[task.status];
    page.add(indent, `${glyph} ${taskText(task)} (${held ? 'held' : task.status})`, tone);
  }
  if (task.unpredictable) page.add(indent + 4, 'effect not predictable', 'warn');
  if (task.reason) page.add(indent + 4, `${held ? 'held: ' : ''}${printable(task.reason)}`, 'quiet');
  for (const entry of task.diff) addEntry(page, indent + 4, entry);
  for (const warning of task.warnings ?? []) page.add(indent + 4, `! warning: ${printable(warning)}`, 'warn');
  if (task.error) addError(page, indent + 4, task.error);
  if (task.status === 'failed') addLog(page, indent + 4, task.log);
}

/** A task that differs but is not touched now says why; one that apply will change has no reason. */
export function isHeld(task: TaskReport): boolean {
  return task.status === 'pending' && task.reason !== undefined;
}

function addEntry(page: Page, indent: number, entry: DiffEntry): void {
  const action = entry.action ?? (entry.from === null ? '+' : entry.to === null ? '-' : '~');
  page.add(indent, `${action} ${printable(entry.path)}${valueText(entry)}`, actionTone[action]);
  if (entry.reason) page.add(indent + 4, printable(entry.reason), 'quiet');
  if (entry.text) addDiff(page, indent + 4, entry.text);
}

/** `  from → to`, with what is missing left out. */
export function valueText({ from, to }: Pick<DiffEntry, 'from' | 'to'>): string {
  if (from === null && to === null) return '';
  if (from === null) return `  ${printable(to!)}`;
  if (to === null) return `  ${printable(from)}`;
  return `  ${printable(from)} → ${printable(to)}`;
}

function addDiff(page: Page, indent: number, text: string): void {
  for (const line of text.replace(/\n$/, '').split('\n')) {
    if (/^(---|\+\+\+) /.test(line) || /^(=+|Index: .*)$/.test(line)) continue;
    const tone: Tone = line.startsWith('+')
      ? 'good'
      : line.startsWith('-')
        ? 'bad'
        : line.startsWith('@@')
          ? 'quiet'
          : 'plain';
    // Indentation of the file's own text must survive, and tabs with it.
    page.add(indent, printable(line.replaceAll('\t', '    ')), tone);
  }
}

/** Adds an error with its code, place and hint. */
export function addError(page: Page, indent: number, error: Diagnostic): void {
  page.add(indent, `${errorText(error)}${errorPlace(error)}`, 'bad');
  if (error.excerpt) page.add(indent + 2, printable(error.excerpt), 'quiet');
  if (error.hint) page.add(indent, `hint: ${printable(error.hint)}`, 'strong');
}

/** Adds the last lines of a failed step. */
export function addLog(page: Page, indent: number, log: readonly string[] | undefined): void {
  if (!log || log.length === 0) return;
  const shown = log.slice(-keptLogLines);
  page.add(indent, `last ${shown.length === 1 ? 'line' : `${shown.length} lines`} of its output:`, 'quiet');
  for (const line of shown)
    page.add(indent, `| ${printable(line.trimEnd().replaceAll('\t', '    '))}`, 'quiet');
}
