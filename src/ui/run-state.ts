import type { Command, FleetEvent, HostReport, HostStatus, Phase } from '../events/events.ts';

/** What a host is doing now. */
export interface ActiveHost {
  name: string;
  phase: Phase;
  text?: string;
  /** the running task, if any */
  task?: { kind: string; task: string };
  /** when the phase or task began, milliseconds since the epoch */
  since: number;
  /** last line of the running step, raw as the host sent it */
  line?: string;
}

const keptFailures = 8;
const keptLine = 1000;

/** The state of a run as its events tell it; one per run, bounded by the number of hosts. */
export class RunState {
  command: Command | undefined;
  playbook: string | undefined;
  hosts: readonly string[] = [];
  started = 0;
  batch: { play: string; batch: number; batches: number; canary: boolean } | undefined;
  interrupted: string | undefined;
  /** in the order in which they began */
  readonly active = new Map<string, ActiveHost>();
  readonly counts: Record<HostStatus, number> = {
    ok: 0,
    changed: 0,
    pending: 0,
    failed: 0,
    unreachable: 0,
    skipped: 0,
  };
  /** newest first */
  readonly failures: { host: string; report: HostReport }[] = [];
  finished = 0;

  /** Takes one event. Cost does not depend on the number of hosts. */
  take(event: FleetEvent): void {
    switch (event.type) {
      case 'run-started':
        this.command = event.command;
        this.playbook = event.playbook;
        this.hosts = event.hosts;
        this.started = event.at;
        break;
      case 'host-phase':
        this.active.set(event.host, {
          name: event.host,
          phase: event.phase,
          since: event.at,
          ...(event.text === undefined ? {} : { text: event.text }),
        });
        break;
      // A planned host waits for its batch: it is not at work.
      case 'plan-ready':
        this.active.delete(event.host);
        break;
      case 'batch-started':
        this.batch = event;
        break;
      case 'task-started':
        this.active.set(event.host, {
          name: event.host,
          phase: 'apply',
          task: { kind: event.kind, task: event.task },
          since: event.at,
        });
        break;
      case 'task-line': {
        const host = this.active.get(event.host);
        if (host && event.line.trim() !== '') host.line = event.line.slice(0, keptLine);
        break;
      }
      case 'task-finished': {
        const host = this.active.get(event.host);
        if (host) {
          this.active.set(event.host, { name: host.name, phase: host.phase, since: event.at });
        }
        break;
      }
      case 'host-finished':
        this.active.delete(event.host);
        this.finished += 1;
        this.counts[event.report.status] += 1;
        if (event.report.status === 'failed' || event.report.status === 'unreachable') {
          this.failures.unshift({ host: event.host, report: event.report });
          this.failures.length = Math.min(this.failures.length, keptFailures);
        }
        break;
      case 'interrupted':
        this.interrupted = event.signal;
        break;
      case 'warning':
      case 'run-finished':
        break;
    }
  }
}
