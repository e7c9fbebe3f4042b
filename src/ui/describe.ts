import type { HostReport, Phase, TaskReport } from '../events/events.ts';
import type { Diagnostic } from '../lib/errors.ts';
import { printable } from '../lib/terminal.ts';

/** A phase as people read it. */
export const phaseText: Readonly<Record<Phase, string>> = {
  connect: 'connecting',
  probe: 'reading its state',
  plan: 'planning',
  wait: 'waiting',
  apply: 'applying',
  verify: 'verifying',
};

/** `kind: task`, printable. */
export function taskText(task: Pick<TaskReport, 'kind' | 'task'>): string {
  return printable(`${task.kind}: ${task.task}`);
}

/** `E_STEP message`, printable, on one line. */
export function errorText(error: Diagnostic): string {
  return `${error.code} ${printable(error.message.trimEnd())}`;
}

/** ` at file:line:col` of an error, or nothing. */
export function errorPlace(error: Diagnostic): string {
  return error.at ? printable(` at ${error.at.file}:${error.at.line}:${error.at.col}`) : '';
}

/** The host's error, unless one of its tasks tells the same. */
export function ownError({ error, tasks }: HostReport): Diagnostic | null {
  const told = tasks.some(
    (task) => task.error?.code === error?.code && task.error?.message === error?.message,
  );
  return told ? null : error;
}
