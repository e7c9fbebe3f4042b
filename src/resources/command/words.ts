import type { Habits } from '../../lib/habits.ts';
import type { CheckFinding, Input } from '../kind.ts';
import type { Command } from './schema.ts';

export const commandExample = `
- name: initramfs with the modules of today
  command:
    argv: [update-initramfs, -u]
    unless: [test, /boot/initrd.img, -nt, /etc/initramfs-tools/modules]
    timeout: 600
`;

const shellLine = 'argv: [sh, -c, "…"] where it really needs a shell';

/** A command line as argv; one that a shell would have to read goes to `sh -c`. */
function asArgv(line: string): string {
  const words = line.trim().split(/\s+/);
  if (words.every((word) => /^[\w./=+@%:,-]+$/.test(word))) return `argv: [${words.join(', ')}]`;
  return line.includes("'") ? shellLine : `argv: [sh, -c, '${line.trim()}']`;
}

const body = (value: unknown) =>
  typeof value === 'string'
    ? `write ${asArgv(value)}`
    : Array.isArray(value)
      ? `write argv: [${value.slice(0, 8).join(', ')}${value.length > 8 ? ', …' : ''}]`
      : undefined;

const unitSeconds: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600 };

export const commandHabits: Habits = {
  '': body,
  cmd: body,
  _raw_params: body,
  args: 'write creates, chdir and environment beside argv',
  removes: 'there is no removes; write unless: with a program that ends with 0 where there is nothing to do',
  executable: `no shell reads it; write ${shellLine}`,
  stdin: `write ${shellLine}`,
  env: 'write environment',
  warn: 'leave it out',
  timeout: (value) => {
    const [, number, unit] = /^(\d{1,5})\s*([smh])/.exec(String(value)) ?? [];
    return number === undefined
      ? 'write seconds, such as 300'
      : `write seconds: ${Number(number) * unitSeconds[unit!]!}`;
  },
};

const operator = /^(\|\|?|&&?|;|\d?>>?(&\d)?|\d?>&\d|\d?>\/\S+|<)$/;

/** What only a shell would understand, in words that no shell will see. */
export function shellWords({ desired }: Input<Command>): readonly CheckFinding[] {
  return (['argv', 'unless'] as const).flatMap((key) => findingsOf(key, desired[key] ?? []));
}

function findingsOf(key: string, words: readonly string[]): readonly CheckFinding[] {
  // A shell of the operator's own reads what follows.
  const [program, ...rest] = words;
  if (program === undefined || /(^|\/)(ba|da|z|k)?sh$|(^|\/)(env|ssh|awk|gawk|perl|python3?)$/.test(program))
    return [];
  const finding = (index: number, message: string, hint: string): CheckFinding[] => [
    { key: `${key}.${index}`, message, hint, warning: true },
  ];
  if (/\s/.test(program))
    return finding(
      0,
      `"${shown(program)}" names one program, blanks and all`,
      rest.length === 0
        ? `write ${asArgv(program).replace('argv', key)}`
        : `write ${key}: [sh, -c, "…"] for what a shell shall read`,
    );
  const index = rest.findIndex((one) => operator.test(one));
  if (index === -1) return [];
  return finding(
    index + 1,
    `"${shown(rest[index]!)}" goes to ${shown(program)} as an argument: no shell sees it`,
    `write ${key}: [sh, -c, '${shown(words.join(' ').replaceAll("'", '"'))}']`,
  );
}

function shown(text: string): string {
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}
