import type { DiffEntry, TaskReport } from '../events/events.ts';
import { type HostFacts, patchFacts } from '../facts/facts.ts';
import { type Diagnostic, FleetError } from '../lib/errors.ts';
import { contradictions } from '../playbook/contradictions.ts';
import type { Declaration } from '../playbook/declaration.ts';
import type { PlanContext, ResourceKind, ResourcePlan, Step } from '../resources/kind.ts';
import type { Frame } from '../transport/connection.ts';
import { type HostProbe, parseAnswer } from './probe.ts';

/** A task of one host with what is to be done about it. Data: `apply` executes just this object. */
export interface PlannedTask {
  declaration: Declaration;
  verdict: ResourcePlan | { status: 'skipped'; reason: string } | { status: 'error'; error: Diagnostic };
  /** empty unless the verdict is `change` */
  steps: readonly Step[];
}

/** The plan of one host over all plays. */
export interface HostPlan {
  facts: HostFacts;
  tasks: readonly PlannedTask[];
}

/**
 * Plans every declaration of a host in order: each sees the facts as those before it will leave them. A handler is in the
 * plan only where a task of its play that changes notifies it.
 */
export function planHost(
  declarations: readonly Declaration[],
  facts: HostFacts,
  frames: ReadonlyMap<string, Frame>,
  probe: HostProbe,
  kinds: ReadonlyMap<string, ResourceKind>,
): HostPlan {
  const tasks: PlannedTask[] = [];
  const notified = new Map<number, Set<string>>();
  let projected = facts;
  const modulesBuilt = new Set<string>();
  for (const declaration of declarations) {
    const names = notified.get(declaration.playIndex);
    if (declaration.handler && !names?.has(declaration.task)) continue;
    const context = { facts: projected, modulesBuilt: new Set(modulesBuilt) };
    const planned = planTask(declaration, facts, context, frames, probe, kinds);
    tasks.push(planned);
    if (planned.verdict.status !== 'change') continue;
    if (planned.verdict.facts) projected = patchFacts(projected, planned.verdict.facts);
    for (const name of planned.verdict.facts?.modulesBuilt ?? []) modulesBuilt.add(name);
    for (const name of declaration.notify) {
      const set = notified.get(declaration.playIndex);
      if (set) set.add(name);
      else notified.set(declaration.playIndex, new Set([name]));
    }
  }
  return { facts, tasks: withoutContradictions(tasks) };
}

/** Whether conditions exclude each other is known now that they are decided: tasks that undo each other stop the host. */
function withoutContradictions(tasks: readonly PlannedTask[]): readonly PlannedTask[] {
  const running = tasks.filter(({ verdict }) => verdict.status !== 'skipped');
  const errors = new Map(
    contradictions(running.map(({ declaration }) => declaration)).map(({ later, finding }) => [
      later,
      finding,
    ]),
  );
  if (errors.size === 0) return tasks;
  return tasks.map((task) => {
    const error = errors.get(task.declaration);
    return error === undefined ? task : { ...task, verdict: { status: 'error', error }, steps: [] };
  });
}

function planTask(
  declaration: Declaration,
  facts: HostFacts,
  context: PlanContext,
  frames: ReadonlyMap<string, Frame>,
  probe: HostProbe,
  kinds: ReadonlyMap<string, ResourceKind>,
): PlannedTask {
  try {
    if (declaration.skipped || (declaration.when && !declaration.when(facts)))
      return { declaration, verdict: { status: 'skipped', reason: 'the condition is false' }, steps: [] };
    const kind = kinds.get(declaration.kind)!;
    const current = parseAnswer(kind, declaration.input, probe.slots.get(declaration)!, frames);
    const verdict = kind.plan(declaration.input, current, context);
    const steps = verdict.status === 'change' ? kind.steps(declaration.input, current, context) : [];
    return { declaration, verdict, steps };
  } catch (error) {
    if (!(error instanceof FleetError)) throw error;
    return { declaration, verdict: { status: 'error', error: error.diagnostics[0]! }, steps: [] };
  }
}

/** The report of a planned task; a change shows as `pending`, which apply turns into what became of it. */
export function reportTask({ declaration, verdict }: PlannedTask, host: string): TaskReport {
  const report: TaskReport = {
    play: declaration.play,
    task: declaration.task,
    kind: declaration.kind,
    status: 'ok',
    diff: [],
    error: null,
  };
  const place = { host, task: declaration.task, at: declaration.at };
  switch (verdict.status) {
    case 'ok':
      report.reason = verdict.reason;
      break;
    case 'skipped':
      report.status = 'skipped';
      report.reason = verdict.reason;
      break;
    case 'change':
      report.status = 'pending';
      report.diff = verdict.changes.map(diffEntry);
      if (verdict.unpredictable) report.unpredictable = true;
      break;
    case 'held':
      report.status = 'pending';
      report.diff = verdict.changes.map(diffEntry);
      report.reason = `${verdict.state}: ${verdict.reason}`;
      break;
    case 'blocked':
      report.status = 'failed';
      report.error = { code: verdict.code, message: verdict.message, hint: verdict.hint, ...place };
      break;
    case 'error':
      report.status = 'failed';
      report.error = { ...verdict.error, ...place };
      break;
  }
  if ('warnings' in verdict && verdict.warnings?.length) report.warnings = [...verdict.warnings];
  return { ...report, ...toldOf({ verdict }) };
}

/** What a plan tells beside its changes: notes for people, and values that guests see. */
export function toldOf({
  verdict,
}: Pick<PlannedTask, 'verdict'>): Pick<TaskReport, 'notes' | 'guestVisible'> {
  return {
    ...('notes' in verdict && verdict.notes?.length ? { notes: [...verdict.notes] } : {}),
    ...('guestVisible' in verdict && verdict.guestVisible ? { guestVisible: verdict.guestVisible } : {}),
  };
}

function diffEntry(change: Extract<ResourcePlan, { status: 'change' }>['changes'][number]): DiffEntry {
  return {
    path: change.path,
    from: change.from,
    to: change.to,
    action: change.action,
    ...(change.reason === undefined ? {} : { reason: change.reason }),
    ...(change.diff === undefined ? {} : { text: change.diff }),
  };
}
