import type { HostReport, RunReport, TaskReport } from '../events/events.ts';
import { displayWidth, printable } from '../lib/terminal.ts';
import { diffFile, firstDifference } from '../lib/unified-diff.ts';
import { errorText, ownError, taskText } from './describe.ts';
import { fitLine, plural, type Segment, wrap } from './layout.ts';
import { statusMark, type Tone } from './paint.ts';
import { openPage, type PrintOptions } from './plan-printer.ts';
import { type Page, valueText } from './task-lines.ts';

/** One line of the audit's table. */
interface Row {
  host: string;
  status: HostReport['status'];
  what: string;
  difference: string;
  tone: Tone;
}

/**
 * The drift of a fleet as a table: unreachable and failed hosts first, then one row a difference with the host, the task
 * and the file or property, for file contents the line where they first differ. Hosts in sync are counted at the end.
 */
export function printAudit(report: RunReport, options: PrintOptions = {}): string {
  const page = openPage(options);
  const bad = report.hosts.filter((host) => host.status === 'unreachable' || host.status === 'failed');
  const drifted = report.hosts.filter((host) => !bad.includes(host) && host.tasks.some(hasDrift));
  const rows = [...bad, ...drifted].flatMap(hostRows);
  addTable(page, rows);
  if (options.verbose) {
    for (const host of report.hosts) {
      if (host.status === 'ok') page.add(0, `${statusMark.ok.glyph} ${printable(host.name)} in sync`, 'good');
    }
  }
  if (report.warnings) page.gap();
  for (const warning of report.warnings ?? []) page.add(0, `! ${printable(warning)}`, 'warn');
  page.gap();
  const { hosts, ok, failed, unreachable } = report.summary;
  const parts = [`${drifted.length} differ`, `${ok} in sync`];
  if (failed > 0) parts.push(`${failed} failed`);
  if (unreachable > 0) parts.push(`${unreachable} unreachable`);
  page.add(0, `Audit: ${plural(hosts, 'host')}: ${parts.join(', ')}.`, 'strong');
  return page.toString();
}

function hasDrift(task: TaskReport): boolean {
  return task.status === 'pending' || task.status === 'failed' || task.status === 'changed';
}

function hostRows(host: HostReport): Row[] {
  const name = printable(host.name);
  const rows: Row[] = [];
  const error = ownError(host);
  if (error) {
    rows.push({ host: name, status: host.status, what: '', difference: errorText(error), tone: 'bad' });
  }
  for (const task of host.tasks.filter(hasDrift)) {
    const { tone } = statusMark[task.status];
    const base = { host: name, status: host.status, tone };
    if (task.error) rows.push({ ...base, what: taskText(task), difference: errorText(task.error) });
    for (const entry of task.diff) {
      const file = entry.text ? diffFile(entry.text) : undefined;
      const what = `${taskText(task)} · ${printable(file && !entry.path.includes(file) ? `${file} ${entry.path}` : entry.path)}`;
      rows.push({ ...base, what, difference: differenceText(entry) });
    }
    if (task.diff.length === 0 && !task.error) {
      rows.push({ ...base, what: taskText(task), difference: printable(task.reason ?? task.status) });
    }
  }
  return rows;
}

function differenceText(entry: TaskReport['diff'][number]): string {
  const first = entry.text ? firstDifference(entry.text) : null;
  if (!first) return valueText(entry).trim() || 'differs';
  const side = (text: string | null) => (text === null ? 'nothing' : `"${printable(text)}"`);
  return `line ${first.line}: ${side(first.from)} → ${side(first.to)}`;
}

const narrow = 60;

function addTable(page: Page, rows: readonly Row[]): void {
  if (rows.length === 0) return;
  if (page.columns < narrow) {
    for (const row of rows) {
      page.add(0, `${statusMark[row.status].glyph} ${row.host} ${row.status}`, row.tone);
      if (row.what) page.add(2, row.what);
      page.add(2, row.difference);
    }
    return;
  }
  const widest = (values: readonly string[], most: number) =>
    Math.min(most, Math.max(...values.map((value) => displayWidth(value))));
  const limit = Number.isFinite(page.columns) ? Math.floor(page.columns * 0.45) : Number.POSITIVE_INFINITY;
  const hostWidth = widest(['HOST', ...rows.map((row) => row.host)], Math.min(limit, 40));
  const statusWidth = widest(['STATUS', ...rows.map((row) => `x ${row.status}`)], 14);
  const whatWidth = widest(['RESOURCE', ...rows.map((row) => row.what)], limit);
  const left = page.columns - hostWidth - statusWidth - whatWidth - 6;
  const print = (cells: readonly [string, string, string, string], tone: Tone) => {
    const columns: readonly (readonly [string, number])[] = [
      [cells[0], hostWidth],
      [cells[1], statusWidth],
      [cells[2], whatWidth],
      [cells[3], left],
    ];
    const wrapped = columns.map(([text, width]) => wrap(text, Math.max(width, 2)));
    const height = Math.max(...wrapped.map((lines) => lines.length));
    for (let line = 0; line < height; line += 1) {
      const segments: Segment[] = wrapped.map((lines, index) => {
        const text = lines[line] ?? '';
        const padding = index === 3 ? 0 : Math.max(columns[index]![1] - displayWidth(text), 0) + 2;
        return [index === 1 ? tone : 'plain', text + ' '.repeat(padding)];
      });
      page.lines.push(fitLine(segments, Number.POSITIVE_INFINITY, page.paint).trimEnd());
    }
  };
  print(['HOST', 'STATUS', 'RESOURCE', 'DIFFERENCE'], 'plain');
  for (const row of rows) {
    print([row.host, `${statusMark[row.status].glyph} ${row.status}`, row.what, row.difference], row.tone);
  }
}
