/** Where and how the two sides of a unified diff first differ. */
export interface FirstDifference {
  /** line number in the text that is there now, from 1; for added lines the one that they come before */
  line: number;
  from: string | null;
  to: string | null;
}

const hunkHead = /^@@ -(\d+)(?:,(\d+))? \+\d+(?:,\d+)? @@/;

/** Finds the first difference in unified diff text; null when it has no hunk. */
export function firstDifference(text: string): FirstDifference | null {
  const lines = text.split('\n');
  const start = lines.findIndex((line) => hunkHead.test(line));
  if (start < 0) return null;
  const [, first, count] = hunkHead.exec(lines[start]!)!;
  // A hunk of 0 lines names the line before it.
  let line = Number(first) + (count === '0' ? 1 : 0);
  for (let index = start + 1; index < lines.length; index += 1) {
    const current = lines[index]!;
    if (current.startsWith('-')) {
      const added = lines.slice(index + 1).find((next) => !next.startsWith('-') && !next.startsWith('\\'));
      return { line, from: current.slice(1), to: added?.startsWith('+') ? added.slice(1) : null };
    }
    if (current.startsWith('+')) return { line, from: null, to: current.slice(1) };
    if (current.startsWith('@@')) return null;
    if (!current.startsWith('\\')) line += 1;
  }
  return null;
}

/** The file that a unified diff's heading names, without `a/` and `b/`; undefined when it names none. */
export function diffFile(text: string): string | undefined {
  const head = text.split('\n', 4).filter((line) => /^(---|\+\+\+) /.test(line));
  for (const line of head) {
    const name = line
      .slice(4)
      .split('\t')[0]!
      .replace(/^[ab]\//, '');
    if (name !== '' && name !== '/dev/null' && name !== 'dev/null') return name;
  }
  return undefined;
}
