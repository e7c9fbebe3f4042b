import { structuredPatch } from 'diff';
import { printable } from './terminal.ts';

const CONTEXT = 3;
/** A diff is for eyes: what is longer is cut, with a count of the rest. */
const MAX_LINES = 200;
/** Of each side, where nothing is common: both must be seen. */
const SIDE_LINES = 80;
const MAX_COLUMNS = 400;
/** Bounds on the search for a small diff: contents come from hosts. */
const MAX_EDITS = 1000;
const MAX_MS = 100;

/** True for what can not be shown by lines: a NUL byte, or no UTF-8. */
export function isBinary(bytes: Buffer): boolean {
  if (bytes.includes(0)) return true;
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    return false;
  } catch {
    return true;
  }
}

/**
 * Unified diff text of two contents, in printable lines, with the path as heading.
 * @returns undefined where either is binary
 */
export function lineDiff(path: string, from: Buffer, to: Buffer): string | undefined {
  if (isBinary(from) || isBinary(to)) return undefined;
  const before = from.toString('utf8');
  const after = to.toString('utf8');
  const patch = structuredPatch(path, path, before, after, '', '', {
    context: CONTEXT,
    maxEditLength: MAX_EDITS,
    timeout: MAX_MS,
  });
  const hunks = patch?.hunks.map((h) => ({ ...h, lines: h.lines })) ?? [wholeHunk(before, after)];
  const lines: string[] = [];
  for (const hunk of hunks) {
    // A side without lines names the line before it.
    const old = `${hunk.oldStart - (hunk.oldLines === 0 ? 1 : 0)},${hunk.oldLines}`;
    const now = `${hunk.newStart - (hunk.newLines === 0 ? 1 : 0)},${hunk.newLines}`;
    lines.push(`@@ -${old} +${now} @@`, ...hunk.lines);
  }
  const name = printable(path);
  const shown = shorten(lines, MAX_LINES).map((line) => printable(line.slice(0, MAX_COLUMNS)));
  return [`--- ${name}`, `+++ ${name}`, ...shown, ''].join('\n');
}

/** The first lines, and how many more there are: as a remark, the way `\ No newline at end of file` is one. */
function shorten(lines: readonly string[], limit: number): readonly string[] {
  if (lines.length <= limit) return lines;
  return [...lines.slice(0, limit), `\\ … ${lines.length - limit} more lines`];
}

interface Hunk {
  oldStart: number;
  oldLines: number;
  newStart: number;
  newLines: number;
  lines: string[];
}

/** One hunk over all between the first and the last line that differ: for texts with little in common. */
function wholeHunk(before: string, after: string): Hunk {
  const from = splitLines(before);
  const to = splitLines(after);
  let first = 0;
  while (first < from.length && first < to.length && from[first] === to[first]) first++;
  let last = 0;
  while (
    last < Math.min(from.length, to.length) - first &&
    from[from.length - 1 - last] === to[to.length - 1 - last]
  )
    last++;
  const start = Math.max(0, first - CONTEXT);
  const after3 = Math.min(last, CONTEXT);
  const common = from.slice(start, first);
  const tail = from.slice(from.length - last, from.length - last + after3);
  const removed = from.slice(first, from.length - last);
  const added = to.slice(first, to.length - last);
  return {
    oldStart: start + 1,
    oldLines: common.length + removed.length + tail.length,
    newStart: start + 1,
    newLines: common.length + added.length + tail.length,
    lines: [
      ...common.map((l) => ` ${l}`),
      ...shorten(
        removed.map((l) => `-${l}`),
        SIDE_LINES,
      ),
      ...shorten(
        added.map((l) => `+${l}`),
        SIDE_LINES,
      ),
      ...tail.map((l) => ` ${l}`),
    ],
  };
}

function splitLines(text: string): string[] {
  const lines = text.split('\n');
  if (lines.at(-1) === '') lines.pop();
  return lines;
}
