import { FleetError } from '../../lib/errors.ts';
import type { Input } from '../kind.ts';
import type { Command } from './schema.ts';
import { existsTest, runWords, unlessSeconds } from './script.ts';

/** What a host says about the two conditions; null where there is none, or where the other one decided. */
export interface CommandState {
  created: boolean | null;
  /** exit status of `unless` */
  unless: number | null;
}

export function probeCommands(inputs: readonly Input<Command>[]): string {
  return inputs
    .map(({ desired }, index) => `command_o=\n${probeOne(desired)}bf_f ${index} "$command_o"\n`)
    .join('');
}

function probeOne(command: Command): string {
  const { creates, unless } = command;
  const ask = unless
    ? `${runWords(command, unless, unlessSeconds)} </dev/null >/dev/null 2>&1; command_o="\${command_o}unless $?"\n`
    : '';
  if (!creates) return ask;
  return `if ${existsTest(creates)}; then command_o='created 1'; else command_o="created 0$bf_n"\n${ask}fi\n`;
}

/** @throws FleetError E_PROBE when a condition has no answer */
export function parseCommand(output: Buffer, { desired }: Input<Command>): CommandState {
  const text = output.toString('latin1');
  const created = /^created ([01])$/m.exec(text)?.[1];
  const unless = /^unless (\d{1,3})$/m.exec(text)?.[1];
  const answered = desired.creates === undefined || created !== undefined;
  const decided = desired.unless === undefined || created === '1' || unless !== undefined;
  if (!answered || !decided || output.length > 4096) {
    throw new FleetError({
      code: 'E_PROBE',
      message: 'the host did not answer whether the command has anything to do',
      hint: 'see what the host printed with -vv',
    });
  }
  return {
    created: created === undefined ? null : created === '1',
    unless: unless === undefined ? null : Number(unless),
  };
}
