import type { Input, ResourcePlan } from '../kind.ts';
import type { CommandState } from './probe.ts';
import type { Command } from './schema.ts';
import { argvText, unlessSeconds } from './script.ts';

/** Either condition is enough for there to be nothing to do; what the command would do is not known. */
export function planCommand({ desired }: Input<Command>, current: CommandState): ResourcePlan {
  if (current.created) return { status: 'ok', reason: `${desired.creates} exists` };
  if (current.unless === 0) return { status: 'ok', reason: `${argvText(desired.unless!)} ended with 0` };
  const warning = unlessWarning(desired, current.unless);
  return {
    status: 'change',
    unpredictable: true,
    changes: [
      {
        path: 'run',
        from: null,
        to: argvText(desired.argv),
        action: '+',
        reason: reasonText(desired, current),
      },
    ],
    ...(warning ? { warnings: [warning] } : {}),
  };
}

function reasonText(desired: Command, current: CommandState): string {
  const reasons: string[] = [];
  if (current.created === false) reasons.push(`${desired.creates} is missing`);
  if (current.unless !== null) reasons.push(`${argvText(desired.unless!)} ended with ${current.unless}`);
  return reasons.join(', ') || 'it has neither creates nor unless, so it runs each time';
}

function unlessWarning(desired: Command, status: number | null): string | undefined {
  if (status === 124 || status === 137) return `unless took longer than ${unlessSeconds} s and was ended`;
  if (status === 125) return `unless could not run in ${desired.chdir ?? '/'}`;
  if (status === 126 || status === 127) return `unless: ${desired.unless![0]} can not be run there (yet)`;
  return undefined;
}
