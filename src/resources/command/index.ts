import { defineKind } from '../kind.ts';
import { planCommand } from './plan.ts';
import { type CommandState, parseCommand, probeCommands } from './probe.ts';
import { type Command, commandSchema } from './schema.ts';
import { commandSteps } from './steps.ts';
import { commandExample, commandHabits, shellWords } from './words.ts';

/** Runs a program. The only kind whose effect a plan can not predict. */
export const command = defineKind<Command, CommandState>({
  kind: 'command',
  summary: 'Runs a program by its argument list, unless creates or unless say that there is nothing to do',
  schema: commandSchema,
  example: commandExample,
  habits: commandHabits,
  check: shellWords,
  probe: probeCommands,
  parse: parseCommand,
  plan: planCommand,
  steps: commandSteps,
});
