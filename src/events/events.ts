import type { Diagnostic } from '../lib/errors.ts';

/** A host's verdict. `pending`: differs and was not changed (plan, audit, or held back). */
export type HostStatus = 'ok' | 'changed' | 'pending' | 'failed' | 'unreachable' | 'skipped';
export type TaskStatus = 'ok' | 'changed' | 'pending' | 'failed' | 'skipped';

/** One difference as the reports show it; strings are from hosts and files: escape before a terminal. */
export interface DiffEntry {
  path: string;
  from: string | null;
  to: string | null;
  action?: '+' | '~' | '-' | '±';
  reason?: string;
  /** unified diff text of a file's content */
  text?: string;
}

export interface TaskReport {
  play: string;
  task: string;
  kind: string;
  status: TaskStatus;
  diff: DiffEntry[];
  /** why there is nothing to do, or why it is held or skipped */
  reason?: string;
  warnings?: string[];
  /** what people can do now, such as a command line to type */
  notes?: string[];
  /** values that guests see, by what they are of: they must be the same where a guest shall migrate */
  guestVisible?: Readonly<Record<string, string>>;
  /** the effect can not be predicted (command) */
  unpredictable?: boolean;
  error: Diagnostic | null;
  /** last lines of a failed step's output */
  log?: string[];
}

export interface HostReport {
  name: string;
  status: HostStatus;
  /** number of tasks that change or would */
  changes: number;
  tasks: TaskReport[];
  error: Diagnostic | null;
}

export interface Summary {
  hosts: number;
  ok: number;
  changed: number;
  failed: number;
  unreachable: number;
  pending: number;
}

export type Command = 'plan' | 'apply' | 'audit' | 'facts' | 'inventory';

/** The JSON document of a run. `facts` stands on hosts only for the command of that name. */
export interface RunReport {
  command: Command;
  run: { id: string; started: string; finished: string };
  hosts: (HostReport & { facts?: unknown })[];
  summary: Summary;
  /** what is wrong between hosts, each of which may be as declared */
  warnings?: string[];
}

export type Phase = 'connect' | 'probe' | 'plan' | 'wait' | 'apply' | 'verify';

/** Everything that ui and report may know. `at` is milliseconds since the epoch. */
export type FleetEvent = { at: number } & (
  | { type: 'run-started'; runId: string; command: Command; playbook?: string; hosts: readonly string[] }
  | { type: 'host-phase'; host: string; phase: Phase; text?: string }
  | { type: 'plan-ready'; host: string; report: HostReport }
  | {
      type: 'batch-started';
      play: string;
      batch: number;
      batches: number;
      hosts: readonly string[];
      canary: boolean;
    }
  | { type: 'task-started'; host: string; play: string; task: string; kind: string }
  /** a line of output of the running step, raw */
  | { type: 'task-line'; host: string; task: string; line: string }
  | { type: 'task-finished'; host: string; report: TaskReport }
  | { type: 'host-finished'; host: string; report: HostReport }
  | { type: 'warning'; host?: string; message: string }
  | { type: 'interrupted'; signal: string; running: readonly { host: string; job: string }[] }
  | { type: 'run-finished'; report: RunReport }
);

/** Where events go. Must not throw and must not block. */
export type EventSink = (event: FleetEvent) => void;
