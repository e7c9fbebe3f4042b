import type { HostReport, RunReport } from '../events/events.ts';
import { printable } from '../lib/terminal.ts';
import { ownError, taskText } from './describe.ts';
import { hostList, plural } from './layout.ts';
import { statusMark } from './paint.ts';
import { openPage, type PrintOptions } from './plan-printer.ts';
import { addError, addTask, isHeld, type Page } from './task-lines.ts';

const listed = ['changed', 'pending', 'skipped'] as const;

/**
 * How a run ended: each bad host with its failed task, error, hint and the last lines of its log; then who changed or
 * still waits, and the counts as `changed: 0`.
 */
export function printSummary(report: RunReport, options: PrintOptions = {}): string {
  const page = openPage(options);
  for (const host of report.hosts) {
    if (host.status !== 'failed' && host.status !== 'unreachable') continue;
    const { glyph, tone } = statusMark[host.status];
    page.gap();
    page.add(0, `${glyph} ${printable(host.name)}: ${host.status}`, tone);
    for (const task of host.tasks) if (task.status === 'failed') addTask(page, 2, task);
    const error = ownError(host);
    if (error) addError(page, 2, error);
  }
  page.gap();
  for (const status of listed) {
    const hosts = report.hosts.filter((host) => host.status === status);
    if (hosts.length === 0) continue;
    const { glyph, tone } = statusMark[status];
    const changes = hosts.reduce((sum, host) => sum + host.changes, 0);
    const count = changes > 0 ? `, ${plural(changes, 'change')}` : '';
    const names = hostList(
      hosts.map((host) => printable(host.name)),
      Math.min(page.columns, 100) - status.length - count.length - 4,
    );
    page.add(0, `${glyph} ${status}: ${names}${count}`, tone);
  }
  addHeld(page, report.hosts);
  addNotes(page, report.hosts);
  const { hosts, ok, changed, failed, unreachable, pending } = report.summary;
  const counts = { hosts, ok, changed, failed, unreachable, pending };
  const text = Object.entries(counts)
    .map(([name, count]) => `${name}: ${count}`)
    .join('  ');
  page.add(0, text, failed + unreachable > 0 ? 'bad' : 'strong');
  return page.toString();
}

/** What was held back is the operator's next step, so it is said with its reason, once for all hosts that have it. */
function addHeld(page: Page, hosts: readonly HostReport[]): void {
  const held = new Map<string, string[]>();
  for (const host of hosts) {
    for (const task of host.tasks.filter(isHeld)) {
      const text = `${taskText(task)}: ${printable(task.reason!)}`;
      held.set(text, [...(held.get(text) ?? []), printable(host.name)]);
    }
  }
  for (const [text, names] of held) {
    page.add(2, `held on ${hostList(names, Math.min(page.columns, 60))}: ${text}`, statusMark.pending.tone);
  }
}

/** What people can do now; a command line stands on a line of its own, so that it can be taken as it is. */
function addNotes(page: Page, hosts: readonly HostReport[]): void {
  const notes = new Map<string, string[]>();
  for (const host of hosts)
    for (const { notes: own = [] } of host.tasks)
      for (const note of own) notes.set(note, [...(notes.get(note) ?? []), printable(host.name)]);
  for (const [note, names] of notes) {
    const [about = '', ...lines] = note.split('\n').map(printable);
    page.add(0, `on ${hostList(names, Math.min(page.columns, 60))}: ${about}`);
    for (const line of lines) page.lines.push(`  ${line}`);
  }
}
