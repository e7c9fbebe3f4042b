// Everything that could move a cursor, set a title, reorder text or hide: control and format characters (C0, C1, DEL, ESC,
// bidi, zero-width), unassigned and private code points, lone surrogates, line separators, and what fonts draw as nothing.
const unprintable = /[\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/gu;
const plainAscii = /^[\x20-\x7e]*$/;
const named: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/**
 * Makes untrusted text safe for one line of a terminal: characters that would act or hide are shown as `\n`, `\x1b`,
 * `\u{202e}`. Meant for eyes: the result is not reversible, since a backslash stays as it is.
 */
export function printable(text: string): string {
  return plainAscii.test(text) ? text : text.replace(unprintable, escapeCharacter);
}

function escapeCharacter(character: string): string {
  const short = named[character];
  if (short !== undefined) return short;
  const code = character.codePointAt(0)!;
  return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u{${code.toString(16)}}`;
}

// East Asian wide and fullwidth blocks, [first, last] in order; emoji are found by their property.
const wide: readonly (readonly [number, number])[] = [
  [0x1100, 0x115f],
  [0x2e80, 0x303e],
  [0x3041, 0x4dbf],
  [0x4e00, 0xa4cf],
  [0xa960, 0xa97f],
  [0xac00, 0xd7a3],
  [0xf900, 0xfaff],
  [0xfe10, 0xfe19],
  [0xfe30, 0xfe6f],
  [0xff00, 0xff60],
  [0xffe0, 0xffe6],
  [0x16fe0, 0x18dff],
  [0x1aff0, 0x1b2ff],
  [0x1f200, 0x1f2ff],
  [0x20000, 0x3fffd],
];
const emoji = /\p{Emoji_Presentation}/u;
const mark = /[\p{Mn}\p{Me}]/u;

/** Columns of one code point: 0, 1 or 2. Where terminals disagree the wider answer is given, so that no line wraps. */
function codePointWidth(character: string): number {
  const code = character.codePointAt(0)!;
  if (code < 0x300) return 1;
  if (mark.test(character)) return 0;
  return wide.some(([first, last]) => code >= first && code <= last) || emoji.test(character) ? 2 : 1;
}

/** Columns that printable text takes on a terminal; escape sequences are not understood. */
export function displayWidth(text: string): number {
  if (plainAscii.test(text)) return text.length;
  let columns = 0;
  for (const character of text) columns += codePointWidth(character);
  return columns;
}

/**
 * Cuts printable text to `columns`, with `…` as the last column where something is missing. The work is bounded by
 * `columns`, not by the text: marks that take no column are cut too once there are more than a few for each.
 */
export function cut(text: string, columns: number): string {
  if (columns <= 0) return '';
  if (text.length <= columns && plainAscii.test(text)) return text;
  let used = 0;
  let end = 0;
  let units = 0;
  let points = 0;
  for (const character of text) {
    points += 1;
    used += codePointWidth(character);
    if (used > columns || points > columns * 4) return `${text.slice(0, end)}…`;
    units += character.length;
    // The longest prefix that leaves a column for the ellipsis.
    if (used < columns) end = units;
  }
  return text;
}
