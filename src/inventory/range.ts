/** Most hosts that an inventory may have. */
export const maxHosts = 10_000;

/**
 * Expands the ranges of a host name: `hv[01:40]`, `rack[a:f]`, `n[0:10:2]`, several in one name; ends are included.
 * Digits keep the width of the first bound.
 * @throws RangeError that says what is wrong, also when more than `limit` names would result
 */
export function expandRange(name: string, limit: number = maxHosts): string[] {
  const parts = name.split(/(\[[^\]]*\])/);
  let names = [''];
  for (const part of parts) {
    const values = part.startsWith('[') && part.endsWith(']') ? rangeValues(part, limit) : [part];
    if (names.length * values.length > limit)
      throw new RangeError(`${name} stands for more than ${limit} hosts`);
    names = names.flatMap((prefix) => values.map((value) => prefix + value));
  }
  return names;
}

function rangeValues(text: string, limit: number): string[] {
  const match = /^\[([0-9]{1,9}|[a-z]|[A-Z]):([0-9]{1,9}|[a-z]|[A-Z])(?::([0-9]{1,9}))?\]$/.exec(text);
  if (match === null) throw new RangeError(`${text} is no range; write [01:40], [a:f] or [0:10:2]`);
  const [first, last, step] = [match[1]!, match[2]!, Number(match[3] ?? 1)];
  if (step === 0) throw new RangeError(`${text} has a step of 0`);
  const numeric = /^[0-9]/.test(first);
  if (numeric !== /^[0-9]/.test(last) || (!numeric && isUpper(first) !== isUpper(last)))
    throw new RangeError(`${text} mixes digits, small and capital letters`);
  if (numeric && first.length > 1 && first.startsWith('0') && last.length !== first.length)
    throw new RangeError(`${text}: both ends must have as many digits`);
  const from = numeric ? Number(first) : first.charCodeAt(0);
  const to = numeric ? Number(last) : last.charCodeAt(0);
  if (from > to) throw new RangeError(`${text} runs backwards`);
  if ((to - from) / step + 1 > limit) throw new RangeError(`${text} stands for more than ${limit} hosts`);
  const values: string[] = [];
  for (let at = from; at <= to; at += step)
    values.push(numeric ? String(at).padStart(first.length, '0') : String.fromCharCode(at));
  return values;
}

function isUpper(letter: string): boolean {
  return letter >= 'A' && letter <= 'Z';
}
