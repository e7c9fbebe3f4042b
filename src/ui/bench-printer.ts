import type { BenchReport, BenchResult } from '../events/bench.ts';
import { displayWidth, printable } from '../lib/terminal.ts';
import { plural } from './layout.ts';
import type { Tone } from './paint.ts';
import { openPage, type PrintOptions } from './plan-printer.ts';

/** How each way is called for people; also on the page. */
const wayTitles: Readonly<Record<BenchResult['way'], string>> = {
  host: 'host (fio)',
  'virtio-blk': 'QEMU virtio-blk',
  'vhost-user-blk': 'vhost-user-blk (qemu-storage-daemon)',
  'vhost-blk': 'vhost-blk',
};

const heads = ['rw', 'vCPUs', 'way', 'IOPS', '÷ host', 'CPU µs', 'rounds'];
const right = new Set(['vCPUs', 'IOPS', '÷ host', 'CPU µs']);

/** The table of a run for people: a row a way, why a way has no number, and what the numbers are. */
export function printBench(report: BenchReport, options: PrintOptions = {}): string {
  const page = openPage(options);
  for (const text of benchFacts(report)) page.add(0, text);
  page.gap();
  const absent = absentWays(report);
  const rows = report.results
    .filter(({ way }) => !absent.some((other) => other.way === way))
    .map((result) => ({ cells: cells(result), result }));
  const widths = heads.map((head, at) =>
    Math.max(
      ...[head, ...rows.filter(({ result }) => result.median !== null).map(({ cells }) => cells[at]!)].map(
        displayWidth,
      ),
    ),
  );
  page.add(0, row(heads, widths), 'strong');
  let group = '';
  for (const { cells, result } of rows) {
    const next = `${result.rw} ${result.vcpus}`;
    if (group !== '' && next !== group) page.lines.push('');
    group = next;
    page.add(0, row(cells, widths), tone(result));
    if (result.median !== null && result.reason !== null)
      page.add(4, `a round failed: ${printable(result.reason)}`, 'bad');
  }
  page.gap();
  for (const { way, reason } of absent)
    page.add(0, `${wayTitles[way]} is not measured: ${printable(reason)}`, 'warn');
  for (const warning of report.warnings) page.add(0, `! warning: ${printable(warning)}`, 'warn');
  for (const text of benchNotes(report)) page.add(0, text, 'quiet');
  return page.toString();
}

/** What was measured, on what; printable lines. */
function benchFacts(report: BenchReport): string[] {
  const { machine, disk, request, driver } = report;
  const mib = Math.round(disk.bytes / 2 ** 20);
  const kind = { block: 'block device', brd: 'RAM disk (brd)', null_blk: 'RAM disk (null_blk)' }[disk.kind];
  return [
    `${report.host}: ${kind} ${disk.device}, ${mib} MiB; kernel ${machine.kernel}; ${plural(machine.cpus, 'CPU')}: ${machine.cpu}`,
    `4 KiB at random places, ${request.iodepth} in flight on each queue, a queue for each vCPU; ${plural(request.rounds, 'round')} of ${request.runtimeSeconds} s, all ways in turn`,
    `guests: ${{ guest: 'small guests under KVM, fio in them', 'emulated guest': 'guests with an emulated CPU, fio in them: their rates say little', client: 'none; a guest’s driver in user space (vhost-blk-bench) drives vhost-user-blk and vhost-blk' }[driver.kind]} (${driver.reason})`,
  ].map(printable);
}

/** Ways that have no number at all, for one and the same reason; they stand below the table. */
function absentWays({ results }: BenchReport): { way: BenchResult['way']; reason: string }[] {
  const ways = [...new Set(results.map(({ way }) => way))];
  return ways.flatMap((way) => {
    const own = results.filter((result) => result.way === way);
    const reasons = new Set(own.map(({ reason }) => reason ?? ''));
    const absent = reasons.size === 1 && own.every(({ outcome }) => outcome === 'not measured');
    return absent ? [{ way, reason: [...reasons][0]! }] : [];
  });
}

/** How the numbers are to be read. */
function benchNotes(report: BenchReport): string[] {
  return [
    'IOPS: requests a second, the median of the rounds. ÷ host: divided by fio on the host itself. CPU µs: time of all CPUs of the host for a request, kernel threads and interrupts included.',
    ...(report.driver.kind === 'client'
      ? [
          'The driver in user space makes no system call for each request, unlike fio: a ratio above 1 is no error, and what a guest itself costs is not in it.',
        ]
      : []),
  ];
}

/** What the page says in the words of the terminal. */
export function benchTexts(report: BenchReport) {
  return {
    facts: benchFacts(report),
    notes: benchNotes(report),
    absent: absentWays(report),
    titles: wayTitles,
    rate: rateText,
  };
}

/** `12.3k`, as the table shows rates. */
export function rateText(iops: number): string {
  if (iops < 1000) return iops.toFixed(0);
  if (iops < 1e6) return `${(iops / 1000).toFixed(iops < 100_000 ? 1 : 0)}k`;
  return `${(iops / 1e6).toFixed(2)}M`;
}

function cells(result: BenchResult): string[] {
  const { median, ratio, cpuUs, iops } = result;
  const start = [result.rw, String(result.vcpus), wayTitles[result.way]];
  if (median === null) return [...start, `${result.outcome}: ${printable(result.reason ?? '')}`];
  return [
    ...start,
    rateText(median),
    ratio === null ? '–' : ratio.toFixed(2),
    cpuUs === null ? '–' : cpuUs.toFixed(1),
    iops.length > 1 ? `${rateText(Math.min(...iops))} – ${rateText(Math.max(...iops))}` : '',
  ];
}

function row(texts: readonly string[], widths: readonly number[]): string {
  const padded = texts.map((text, at) => {
    const space = ' '.repeat(Math.max(0, widths[at]! - displayWidth(text)));
    // A reason takes the place of all numbers.
    return right.has(heads[at]!) && texts.length === heads.length ? space + text : text + space;
  });
  return padded.join('  ').trimEnd();
}

function tone(result: BenchResult): Tone {
  if (result.outcome === 'failed') return 'bad';
  if (result.median === null) return 'quiet';
  return result.way === 'vhost-blk' ? 'good' : 'plain';
}
