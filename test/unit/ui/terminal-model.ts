/**
 * What a terminal shows, scrollback included, after it was sent `output`: understands the few sequences that the live
 * display uses, and throws on any other, since that one came from a host.
 */
export function shownLines(output: string): string[] {
  const lines: string[][] = [[]];
  let row = 0;
  let column = 0;
  const tokens = /\x1b\[\?25[hl]|\x1b\[([\d;]*)([AJKm])|\r|\n|[^\x00-\x1f\x7f-\x9f]/gu;
  let expected = 0;
  for (const match of output.matchAll(tokens)) {
    if (match.index !== expected) break;
    expected += match[0].length;
    const [token, count, action] = match;
    if (token === '\r') column = 0;
    else if (token === '\n') {
      row += 1;
      lines[row] ??= [];
    } else if (action === 'A') row = Math.max(row - Number(count || 1), 0);
    else if (action === 'K') lines[row]!.length = Math.min(lines[row]!.length, column);
    else if (action === 'J') {
      lines.length = row + 1;
      lines[row]!.length = Math.min(lines[row]!.length, column);
    } else if (!token.startsWith('\x1b')) lines[row]![column++] = token;
  }
  if (expected !== output.length) {
    throw new Error(`the terminal was sent ${JSON.stringify(output.slice(expected, expected + 20))}`);
  }
  return lines.map((line) => line.join('')).filter((line) => line !== '');
}
