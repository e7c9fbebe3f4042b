import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { BenchResult } from './guest.ts';
import { ratioHeading, ratioRows } from './tables.ts';

const page = fileURLToPath(new URL('../../../docs/performance.md', import.meta.url));

/** Replaces the section of a result's kernel line and clock in docs/performance.md, between its markers. */
export function writeResults(result: BenchResult): void {
  writeFileSync(page, withSection(readFileSync(page, 'utf8'), result));
}

/**
 * @param text the page
 * @returns it with the new section
 * @throws Error when the page has no markers for it
 */
export function withSection(text: string, result: BenchResult): string {
  const key = `${lineOf(result.release)} ${result.clock}`;
  const begin = `<!-- begin ${key} -->`;
  const end = `<!-- end ${key} -->`;
  const from = text.indexOf(begin);
  const to = text.indexOf(end);
  if (from < 0 || to < from) throw new Error(`docs/performance.md has no markers for '${key}'`);
  const section = [`Kernel ${result.release}:`, '', ...markdownTable(result)].join('\n');
  return `${text.slice(0, from + begin.length)}\n${section}\n${text.slice(to)}`;
}

/** "6.1" of 6.1.0-56-amd64; "7" of all that begin with it. */
function lineOf(release: string): string {
  const [major, minor] = release.split('.');
  return Number(major) >= 7 ? major! : `${major}.${minor}`;
}

function markdownTable(result: BenchResult): string[] {
  const heading = ratioHeading(result);
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [
    line(heading),
    line(heading.map((_, column) => (column < 2 ? '---' : '---:'))),
    ...ratioRows(result).map(line),
  ];
}
