import { shellQuote, shellWords } from '../../lib/shell.ts';
import type { Command } from './schema.ts';

/** Seconds that `unless` may take, in the probe and after the run. */
export const unlessSeconds = 20;

/** Assignments that end up in the environment of what follows in the same (sub)shell, never in an argv. */
function exports(command: Command): string {
  return Object.entries(command.environment ?? {})
    .map(([name, value]) => `export ${name}=${shellQuote(value)}; `)
    .join('');
}

/**
 * Text that runs `words` as the declaration says, ended after `seconds`. Its status is the program's; 127 without
 * the program, 124 or 137 when time ran out. The frame nonce is kept from the program, so that it can not answer for the probe.
 */
export function runWords(command: Command, words: readonly string[], seconds: number): string {
  const run = `-k 5 ${seconds} ${shellWords(words)}`;
  // A subshell would be a copy of the shell: more than the program itself may cost.
  if (command.chdir === undefined && Object.keys(command.environment ?? {}).length === 0)
    return `BF_NONCE= BF_P= timeout ${run}`;
  const folder = shellQuote(command.chdir ?? '/');
  // timeout is found before the declaration's PATH applies.
  return `( command_t=$(command -v timeout); cd ${folder} || exit 125; unset BF_NONCE BF_P; ${exports(command)}exec "$command_t" ${run} )`;
}

/** A test that is true where the path exists, dangling links included. */
export function existsTest(path: string): string {
  const word = shellQuote(path);
  return `{ [ -e ${word} ] || [ -L ${word} ]; }`;
}

/** argv for people, quoted only where a word needs it. */
export function argvText(argv: readonly string[]): string {
  return argv.map((word) => (/^[A-Za-z0-9_./:=@%+,-]+$/.test(word) ? word : shellQuote(word))).join(' ');
}
