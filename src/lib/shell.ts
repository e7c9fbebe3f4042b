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

/** sh text that sets `bf_uid` to the effective user's number (proc_pid_status(5)), without a process where /proc is there. */
export const effectiveUser = `bf_uid=
while read -r bf_k bf_v bf_uid bf_r; do [ "$bf_k" = Uid: ] && break; bf_uid=; done 2>/dev/null </proc/self/status
[ -n "$bf_uid" ] || bf_uid=$(id -u)
`;
