/**
 * Quotes one word for a POSIX shell.
 * @param word any string without NUL
 * @returns the word in single quotes, safe as one argument in sh
 * @throws RangeError when it holds a NUL byte, which no argument can carry
 */
export function shellQuote(word: string): string {
  if (word.includes('\0')) throw new RangeError('a shell word can not hold a NUL byte');
  return `'${word.replaceAll("'", `'\\''`)}'`;
}

/** Quotes several words and joins them by spaces. */
export function shellWords(words: readonly string[]): string {
  return words.map(shellQuote).join(' ');
}
