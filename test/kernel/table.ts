import { appendFileSync } from 'node:fs';

/**
 * Draws rows under a heading, columns as wide as their widest cell.
 * @returns lines without an end of line at the last
 */
export function drawTable(heading: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = heading.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, column) => cell.padEnd(widths[column]!))
      .join('  ')
      .trimEnd();
  return [line(heading), widths.map((width) => '-'.repeat(width)).join('  '), ...rows.map(line)].join('\n');
}

/** Shows a table in the test's output, and adds it to the file that the test runner repeats at its end. */
export function showTable(title: string, table: string): void {
  const text = `\n${title}\n${table}\n`;
  process.stdout.write(text);
  const file = process.env.BLKFLEET_TEST_TABLE;
  if (file) appendFileSync(file, text);
}
