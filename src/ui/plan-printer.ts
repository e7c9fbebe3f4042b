import type { HostReport, TaskReport } from '../events/events.ts';
import type { Diagnostic } from '../lib/errors.ts';
import { printable } from '../lib/terminal.ts';
import { ownError } from './describe.ts';
import { hostList, plural } from './layout.ts';
import { createPaint, statusMark } from './paint.ts';
import { addError, addTask, Page } from './task-lines.ts';

export interface PrintOptions {
  /** width to wrap at; nothing is wrapped without it (a file, a pipe) */
  columns?: number;
  colour?: boolean;
  /** also list what is in sync */
  verbose?: boolean;
}

/** Hosts whose reports read the same. */
interface Group {
  names: string[];
  report: HostReport;
  body: string;
}

/** The page that all printers write on. */
export function openPage(options: PrintOptions): Page {
  return new Page(options.columns ?? Number.POSITIVE_INFINITY, createPaint(options.colour ?? false));
}

/**
 * A plan for people: hosts that can not be planned first, then what would change, equal plans of several hosts once, and
 * a summary line. Hosts in sync are counted; they are listed with `verbose`.
 */
export function printPlan(reports: readonly HostReport[], options: PrintOptions = {}): string {
  const page = openPage(options);
  const verbose = options.verbose ?? false;
  for (const group of groupReports(reports, options)) {
    if (group.report.status === 'ok' && group.body === '' && !verbose) continue;
    page.gap();
    addGroupHead(page, group);
    page.lines.push(...(group.body === '' ? [] : group.body.slice(0, -1).split('\n')));
  }
  page.gap();
  addPlanSummary(page, reports);
  return page.toString();
}

const order: readonly HostReport['status'][] = [
  'unreachable',
  'failed',
  'pending',
  'changed',
  'skipped',
  'ok',
];

/** Puts hosts together whose reports read the same, exceptions first, else in the order given. */
function groupReports(reports: readonly HostReport[], options: PrintOptions): Group[] {
  const groups = new Map<string, Group>();
  for (const report of reports) {
    const shown = report.tasks.filter((task) => options.verbose || isWorthShowing(task));
    const key = contentKey(report, shown);
    const group = groups.get(key);
    if (group) group.names.push(report.name);
    else groups.set(key, { names: [report.name], report, body: hostBody(report, shown, options) });
  }
  return [...groups.values()].sort((a, b) => order.indexOf(a.report.status) - order.indexOf(b.report.status));
}

/** Equal for hosts of which the same is said; an error carries its host's name, which is said above. */
function contentKey({ status, changes, error }: HostReport, shown: readonly TaskReport[]): string {
  const nameless = (found: Diagnostic | null) => found && { ...found, host: '' };
  const tasks = shown.map((task) => (task.error ? { ...task, error: nameless(task.error) } : task));
  return JSON.stringify([status, changes, nameless(error), tasks]);
}

/** What a host's report says below its name, without that name. */
function hostBody(report: HostReport, shown: readonly TaskReport[], options: PrintOptions): string {
  const page = openPage(options);
  const error = ownError(report);
  if (error) addError(page, 4, error);
  let play: string | undefined;
  const plays = new Set(shown.map((task) => task.play)).size;
  for (const task of shown) {
    if (plays > 1 && task.play !== play) page.add(2, `play ${printable(task.play)}`, 'strong');
    play = task.play;
    addTask(page, 2, task);
  }
  return page.toString();
}

function isWorthShowing(task: TaskReport): boolean {
  return (task.status !== 'ok' && task.status !== 'skipped') || (task.warnings?.length ?? 0) > 0;
}

function addGroupHead(page: Page, { names, report }: Group): void {
  const { glyph, tone } = statusMark[report.status];
  const end = `: ${report.status}${report.changes > 0 ? `, ${plural(report.changes, 'change')}` : ''}`;
  const hosts = hostList(names.map(printable), page.columns - end.length - 2);
  page.add(0, `${glyph} ${hosts}${end}`, tone);
}

function addPlanSummary(page: Page, reports: readonly HostReport[]): void {
  const count = (status: HostReport['status']) => reports.filter((report) => report.status === status).length;
  const changes = reports.reduce((sum, report) => sum + report.changes, 0);
  const pending = count('pending');
  const parts = [`${pending} to change (${plural(changes, 'change')})`, `${count('ok')} in sync`];
  for (const status of ['changed', 'failed', 'unreachable', 'skipped'] as const) {
    if (count(status) > 0) parts.push(`${count(status)} ${status}`);
  }
  page.add(0, `Plan: ${plural(reports.length, 'host')}: ${parts.join(', ')}.`, 'strong');
}
