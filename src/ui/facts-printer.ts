import type { RunReport } from '../events/events.ts';
import { displayWidth, printable } from '../lib/terminal.ts';
import { errorText, ownError } from './describe.ts';
import { plural, wrap } from './layout.ts';
import { statusMark } from './paint.ts';
import { openPage, type PrintOptions } from './plan-printer.ts';
import type { Page } from './task-lines.ts';

/** Of the facts of a host those that its line tells; the JSON document has all. */
interface ToldFacts {
  kernel: {
    release: string;
    arch: string;
    secureBoot: boolean | null;
    installed: readonly { headers: boolean }[];
  };
  os: { id: string; versionId: string };
  packages: { manager: string; healthy: boolean };
  cpus: number;
  memoryKiB: number;
}

const columns: readonly (readonly [head: string, value: (facts: ToldFacts) => string])[] = [
  ['OS', ({ os }) => `${os.id} ${os.versionId}`.trim()],
  ['KERNEL', ({ kernel }) => kernel.release],
  ['ARCH', ({ kernel }) => kernel.arch],
  ['CPUS', ({ cpus }) => String(cpus)],
  ['MEMORY', ({ memoryKiB }) => `${(memoryKiB / 1024 / 1024).toFixed(1)} GiB`],
  ['PACKAGES', ({ packages }) => (packages.healthy ? packages.manager : `${packages.manager}, not healthy`)],
  [
    'HEADERS',
    ({ kernel: { installed } }) =>
      `${installed.filter(({ headers }) => headers).length} of ${installed.length}`,
  ],
  [
    'SECURE BOOT',
    ({ kernel: { secureBoot } }) => (secureBoot === null ? 'unknown' : secureBoot ? 'on' : 'off'),
  ],
];

/** What hosts tell about themselves: those that can not be asked first, each hint once, then a line a host. */
export function printFacts(report: RunReport, options: PrintOptions = {}): string {
  const page = openPage(options);
  const hints = new Set<string>();
  for (const host of report.hosts) {
    const error = ownError(host);
    if (error === null) continue;
    const { glyph, tone } = statusMark[host.status];
    page.add(0, `${glyph} ${printable(host.name)}: ${host.status}: ${errorText(error)}`, tone);
    if (error.hint !== undefined) hints.add(error.hint);
  }
  for (const hint of hints) page.add(2, `hint: ${printable(hint)}`, 'strong');
  const asked = report.hosts.filter(({ facts }) => facts !== undefined);
  if (asked.length > 0) page.gap();
  addTable(
    page,
    asked.map(({ name, facts }) => [
      printable(name),
      ...columns.map(([, value]) => printable(value(facts as ToldFacts))),
    ]),
  );
  page.gap();
  const { hosts, failed, unreachable } = report.summary;
  const bad = [failed > 0 ? `, ${failed} failed` : '', unreachable > 0 ? `, ${unreachable} unreachable` : ''];
  page.add(0, `Facts: ${plural(hosts, 'host')}: ${asked.length} answered${bad.join('')}.`, 'strong');
  return page.toString();
}

/** A table where its widest line fits, else the same a host as a list. */
function addTable(page: Page, rows: readonly (readonly string[])[]): void {
  if (rows.length === 0) return;
  const heads = ['HOST', ...columns.map(([head]) => head)];
  const widths = heads.map((head, at) =>
    Math.max(...[head, ...rows.map((row) => row[at]!)].map(displayWidth)),
  );
  if (widths.reduce((sum, width) => sum + width + 2, -2) > page.columns) {
    for (const [name, ...values] of rows) {
      page.add(0, name!);
      page.add(2, values.map((value, at) => `${heads[at + 1]!.toLowerCase()} ${value}`).join(', '), 'quiet');
    }
    return;
  }
  for (const row of [heads, ...rows]) {
    const cells = row.map((cell, at) => cell + ' '.repeat(widths[at]! - displayWidth(cell)));
    page.lines.push(...wrap(cells.join('  ').trimEnd(), page.columns));
  }
}
