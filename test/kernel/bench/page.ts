import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { kernelLines } from '../lines.ts';
import { goals, type Reached, reached } from './goals.ts';
import { type BenchResult, disks } from './guest.ts';
import type { Qcow2Result } from './qcow2-guest.ts';
import { qcow2Goals, qcow2Heading, qcow2Ratio, qcow2Rows } from './qcow2-tables.ts';
import { ratioHeading, ratioRows } from './tables.ts';

const page = fileURLToPath(new URL('../../../docs/performance.md', import.meta.url));

/** Puts a result's tables and what it says of the goals into docs/performance.md. */
export function writeResults(result: BenchResult): void {
  writeFileSync(page, withGoals(withSection(readFileSync(page, 'utf8'), result), result));
}

/** Puts the tables of dm-qcow2 there. */
export function writeQcow2Results(result: Qcow2Result): void {
  writeFileSync(page, withQcow2(readFileSync(page, 'utf8'), result));
}

const qcow2GoalsHeading = ['goal', 'at least', ...kernelLines.map(({ line }) => line)];

/**
 * Replaces the table of dm-qcow2 on a kernel line, and, for the machine's own clock, its column in the table of goals.
 * @param text the page
 * @throws Error when the page has no markers for them
 */
export function withQcow2(text: string, result: Qcow2Result): string {
  const line = lineOf(result.release);
  const section = [
    `Kernel ${result.release}:`,
    '',
    ...markdownTable(qcow2Heading(result), 1, qcow2Rows(result)),
  ].join('\n');
  const replaced = replaceSection(text, `qcow2 ${line} ${result.clock}`, section);
  if (result.clock !== 'wall') return replaced;
  const before = readCells(sectionOf(replaced, 'qcow2 goals'));
  const column = qcow2GoalsHeading.indexOf(line);
  const rows = qcow2Goals.map(({ work, depth, other, atLeast }) => {
    const row = [`${work}, depth ${depth} ÷ ${other}`, atLeast.toFixed(1)];
    const known = before.find((cells) => cells[0] === row[0]) ?? [];
    for (let at = row.length; at < qcow2GoalsHeading.length; at++) row[at] = known[at] ?? NOT_MEASURED;
    const ratio = qcow2Ratio(result, work, depth, other);
    if (column > 0) row[column] = reachedText({ lowest: ratio, highest: ratio, met: ratio >= atLeast });
    return row;
  });
  return replaceSection(replaced, 'qcow2 goals', markdownTable(qcow2GoalsHeading, 1, rows).join('\n'));
}

/**
 * Replaces the section of a result's kernel line and clock, between its markers.
 * @param text the page
 * @returns it with the new section
 * @throws Error when the page has no markers for it
 */
export function withSection(text: string, result: BenchResult): string {
  const section = [
    `Kernel ${result.release}:`,
    '',
    ...markdownTable(ratioHeading(result), 2, ratioRows(result)),
  ];
  return replaceSection(text, `${lineOf(result.release)} ${result.clock}`, section.join('\n'));
}

const goalsHeading = ['goal', 'clock', 'at least', ...kernelLines.map(({ line }) => line)];
const NOT_MEASURED = 'not measured';

/**
 * Replaces, in the table of goals, what a result tells: the column of its kernel line, in the rows of its clock.
 * @param text the page
 * @returns it with the new cells
 * @throws Error when the page has no markers for the table, or there is no such line
 */
export function withGoals(text: string, result: BenchResult): string {
  const column = goalsHeading.indexOf(lineOf(result.release));
  if (column < 0) throw new Error(`no column of goals for ${result.release}`);
  const before = readCells(sectionOf(text, 'goals'));
  const names = disks.map(({ name }) => name);
  const rows = goals.map((goal) => {
    const row = [goal.text, goal.clock, goal.atLeast.toFixed(1)];
    const known = before.find((cells) => cells[0] === row[0] && cells[2] === row[2]) ?? [];
    for (let at = row.length; at < goalsHeading.length; at++) row[at] = known[at] ?? NOT_MEASURED;
    if (goal.clock === result.clock) row[column] = reachedText(reached(result, goal, names));
    return row;
  });
  return replaceSection(text, 'goals', markdownTable(goalsHeading, 2, rows).join('\n'));
}

/** Rounded down, so that what is missed by little does not look met. */
function reachedText({ lowest, highest, met }: Reached): string {
  if (Number.isNaN(lowest)) return NOT_MEASURED;
  const [from, to] = [lowest, highest].map((ratio) => (Math.floor(ratio * 100) / 100).toFixed(2));
  return `${met ? '' : '**missed** '}${from === to ? from : `${from} – ${to}`}`;
}

function sectionOf(text: string, key: string): string {
  const [from, to] = boundsOf(text, key);
  return text.slice(from, to);
}

function replaceSection(text: string, key: string, section: string): string {
  const [from, to] = boundsOf(text, key);
  return `${text.slice(0, from)}\n${section}\n${text.slice(to)}`;
}

/** Where a section is between its markers. */
function boundsOf(text: string, key: string): [number, number] {
  const begin = `<!-- begin ${key} -->`;
  const from = text.indexOf(begin);
  const to = text.indexOf(`<!-- end ${key} -->`);
  if (from < 0 || to < from) throw new Error(`docs/performance.md has no markers for '${key}'`);
  return [from + begin.length, to];
}

/** "6.1" of 6.1.0-56-amd64; "7" of all that begin with it. */
function lineOf(release: string): string {
  const [major, minor] = release.split('.');
  return Number(major) >= 7 ? major! : `${major}.${minor}`;
}

/** @param words how many columns, from the left, hold words: the others hold numbers */
function markdownTable(heading: readonly string[], words: number, rows: readonly string[][]): string[] {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [
    line(heading),
    line(heading.map((_, column) => (column < words ? '---' : '---:'))),
    ...rows.map(line),
  ];
}

/** Rows of a table that markdownTable() made. */
function readCells(section: string): string[][] {
  return section
    .split('\n')
    .filter((line) => line.startsWith('| '))
    .map((line) => line.slice(2, -2).split(' | '));
}
