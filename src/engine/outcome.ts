import type { TaskReport } from '../events/events.ts';
import type { Diagnostic } from '../lib/errors.ts';
import type { Step } from '../resources/kind.ts';
import { type PlannedTask, reportTask } from './host-plan.ts';
import type { JobResult } from './job-log.ts';

/** A step of a job with the task that it belongs to; its place in the list is its index in the job. */
export interface JobTaskStep {
  task: PlannedTask;
  step: Step;
}

/**
 * What became of one task of a job that has ended, from the exit codes of its steps.
 * @param steps all steps of the job
 * @param logs the last lines that each step printed, by index
 * @returns `changed`, `failed` with the cause, or `pending` where the job ended before it
 */
export function taskOutcome(
  host: string,
  task: PlannedTask,
  steps: readonly JobTaskStep[],
  result: JobResult,
  logs: ReadonlyMap<number, readonly string[]>,
): TaskReport {
  const report = reportTask(task, host);
  const own = steps.flatMap((s, index) => (s.task === task ? [index] : []));
  const bad = own.find((index) => (result.steps.get(index) ?? '0') !== '0');
  if (bad !== undefined) {
    report.status = 'failed';
    report.error = stepError(host, task, steps[bad]!.step, result.steps.get(bad)!);
    report.log = [...(logs.get(bad) ?? [])];
  } else if (own.every((index) => result.steps.get(index) === '0')) report.status = 'changed';
  else if (result.status === 'gone') {
    // The probe that follows judges it, but for what no probe can tell.
    report.status = 'changed';
    if (task.verdict.status === 'change' && task.verdict.unpredictable) {
      report.status = 'failed';
      report.error = {
        code: 'E_STEP',
        message: 'another run has collected its result before it was read here',
        hint: 'that run told it',
        ...placeOf(host, task),
      };
    }
  } else if (
    result.status === 'cut' &&
    own.includes(steps.findIndex((_, index) => !result.steps.has(index)))
  ) {
    report.status = 'failed';
    report.error = {
      code: 'E_STEP',
      message: 'the job was cut short: did the host go down?',
      hint: 'run it again',
      ...placeOf(host, task),
    };
  }
  return report;
}

/**
 * Judges a task that was applied by the plan that a fresh probe gives: a failure where it still is not as declared, or
 * can not be told; pending where the rest must not be touched now; null where all is well.
 */
export function verifyOutcome(host: string, fresh: PlannedTask, applied: TaskReport): TaskReport | null {
  const { verdict } = fresh;
  if (verdict.status === 'blocked' || verdict.status === 'error') return reportTask(fresh, host);
  if (verdict.status === 'held') return reportTask(fresh, host);
  if (verdict.status !== 'change' || verdict.unpredictable) return null;
  return {
    ...applied,
    status: 'failed',
    error: {
      code: 'E_VERIFY',
      message: `still not as declared after it was applied: ${verdict.changes.map((c) => c.path).join(', ')}`,
      hint: 'something on the host changes it back, or the declaration can not be met there',
      ...placeOf(host, fresh),
    },
  };
}

function stepError(host: string, task: PlannedTask, step: Step, rc: string): Diagnostic {
  const place = placeOf(host, task);
  if (rc === 'guard')
    return {
      code: 'E_CHANGED_SINCE_PLAN',
      message: `${step.title}: what it changes is no longer as it was planned`,
      hint: 'someone else changed the host meanwhile; plan again',
      ...place,
    };
  const late = rc === '124' || rc === '137';
  return {
    code: 'E_STEP',
    message: late
      ? `${step.title}: not done after ${step.deadline ?? 300} s`
      : `${step.title}: exit status ${rc}`,
    hint: 'the last lines of its output are shown; mend the cause and run it again',
    ...place,
  };
}

function placeOf(host: string, { declaration }: PlannedTask): Pick<Diagnostic, 'host' | 'task' | 'at'> {
  return { host, task: declaration.task, at: declaration.at };
}
