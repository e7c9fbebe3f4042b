import { shellQuote } from '../../lib/shell.ts';
import type { Input, Step } from '../kind.ts';
import type { Command } from './schema.ts';
import { argvText, existsTest, runWords, unlessSeconds } from './script.ts';

const defaultSeconds = 300;

/**
 * One step: run it, then look whether the conditions hold that make a second run do nothing. Where they do not, the
 * command is not what was declared, and that is a failure of this step: verify can not tell, since a command without
 * conditions has something to do at every probe.
 */
export function commandSteps({ desired }: Input<Command>): Step[] {
  const { argv, creates, unless } = desired;
  const seconds = desired.timeout ?? defaultSeconds;
  const fail = (text: string) => `{ printf '%s\\n' ${shellQuote(text)} >&2; exit 1; }`;
  let script = '';
  if (creates) script += `if ${existsTest(creates)}; then exit 0; fi\n`;
  script += `command_rc=0\n${runWords(desired, argv, seconds)} || command_rc=$?\n`;
  script += `case $command_rc in\n0) ;;\n`;
  script += `124|137) printf '%s\\n' ${shellQuote(`ended after ${seconds} s: it took longer than its timeout`)} >&2; exit 124;;\n`;
  script += `*) printf 'ended with %s\\n' "$command_rc" >&2; exit "$command_rc";;\nesac\n`;
  if (creates)
    script += `${existsTest(creates)} || ${fail(`${creates} is still missing after ${argvText(argv)}`)}\n`;
  if (unless) {
    const again = fail(`unless still does not hold: ${argvText(unless)}`);
    script += `${runWords(desired, unless, unlessSeconds)} || ${again}\n`;
  }
  return [{ title: `run ${argvText(argv)}`, script, deadline: seconds + unlessSeconds + 20 }];
}
