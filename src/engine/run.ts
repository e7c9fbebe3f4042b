import type { Command, EventSink, FleetEvent, HostReport, RunReport, Summary } from '../events/events.ts';
import type { Host } from '../inventory/host.ts';
import { Semaphore } from '../lib/semaphore.ts';
import type { BoundPlay } from '../playbook/declaration.ts';
import type { ResourceKind } from '../resources/kind.ts';
import type { Transport } from '../transport/connection.ts';
import { guestVisibleDifferences } from './guest-visible.ts';
import { HostSession } from './host-session.ts';
import { batches, stopReason } from './rollout.ts';

export interface RunRequest {
  command: Command;
  runId: string;
  playbook?: string;
  plays: readonly BoundPlay[];
  hosts: ReadonlyMap<string, Host>;
  kinds: ReadonlyMap<string, ResourceKind>;
  transport: Transport;
  sink: EventSink;
  /** aborted by the first signal: nothing new starts, and what runs on hosts is left to end there */
  signal: AbortSignal;
  /** connects in flight; default 32 */
  connects?: number;
  /** asked once before more hosts than the canary are changed; absent: never asked */
  confirm?: (plans: readonly HostReport[], hosts: number) => Promise<boolean>;
}

export interface RunOutcome {
  report: RunReport;
  /** the operator said no */
  declined: boolean;
  roundTrips: readonly number[];
}

/**
 * Runs a command over a fleet: probes and plans every host, and for `apply` changes and verifies them batch by batch.
 * What goes wrong with a host is its status; this rejects on bugs only.
 */
export async function runFleet(request: RunRequest): Promise<RunOutcome> {
  const { command, plays, sink, signal } = request;
  const started = new Date();
  const names = [...new Set(plays.flatMap((play) => play.hosts))];
  const emit = (event: Omit<Extract<FleetEvent, { type: 'run-started' }>, 'at'>) =>
    sink({ at: Date.now(), ...event });
  emit({
    type: 'run-started',
    runId: request.runId,
    command,
    hosts: names,
    ...(request.playbook === undefined ? {} : { playbook: request.playbook }),
  });
  const sessions = new Map(names.map((name) => [name, session(request, name)]));
  const onAbort = () => {
    const running = [...sessions.values()].flatMap(({ name, job }) => (job ? [{ host: name, job }] : []));
    const reason = typeof signal.reason === 'string' ? signal.reason : 'an interrupt';
    sink({ at: Date.now(), type: 'interrupted', signal: reason, running });
  };
  signal.addEventListener('abort', onAbort, { once: true });
  const places = new Semaphore(request.connects ?? 32);
  await Promise.all(
    [...sessions.values()].map((host) =>
      places.use(async () => {
        if (signal.aborted) return;
        await host.inspect();
        if (command === 'apply') await host.collectLeftJobs();
        else for (const job of host.left) leftOver(request, host, job);
        host.stopIfBlocked();
        const idle =
          command !== 'apply' || host.failed || plays.every((p) => host.pending(p.index).length === 0);
        sink({ at: Date.now(), type: 'plan-ready', host: host.name, report: host.report() });
        if (idle) await finish(request, host);
      }),
    ),
  );
  let declined = false;
  if (command === 'apply' && !signal.aborted) declined = !(await rollOut(request, sessions));
  await Promise.all([...sessions.values()].map((host) => host.close()));
  signal.removeEventListener('abort', onAbort);
  const hosts = [...sessions.values()].map((host) => ({
    ...host.report(),
    ...(command === 'facts' && host.plan ? { facts: host.plan.facts } : {}),
  }));
  const warnings = guestVisibleDifferences(hosts);
  for (const message of warnings) sink({ at: Date.now(), type: 'warning', message });
  const report: RunReport = {
    command,
    run: { id: request.runId, started: started.toISOString(), finished: new Date().toISOString() },
    hosts,
    summary: summarise(hosts),
    ...(warnings.length > 0 ? { warnings } : {}),
  };
  sink({ at: Date.now(), type: 'run-finished', report });
  return { report, declined, roundTrips: [...sessions.values()].map((host) => host.roundTrips) };
}

/** Counts hosts by verdict; a skipped host counts only among `hosts`. */
export function summarise(hosts: readonly HostReport[]): Summary {
  const count = (status: HostReport['status']) => hosts.filter((h) => h.status === status).length;
  return {
    hosts: hosts.length,
    ok: count('ok'),
    changed: count('changed'),
    failed: count('failed'),
    unreachable: count('unreachable'),
    pending: count('pending'),
  };
}

function session(request: RunRequest, name: string): HostSession {
  return new HostSession({
    host: request.hosts.get(name)!,
    declarations: request.plays.flatMap((play) => (play.hosts.includes(name) ? play.declarations(name) : [])),
    kinds: request.kinds,
    transport: request.transport,
    runId: request.runId,
    sink: request.sink,
    signal: request.signal,
  });
}

/** Applies play by play, batch by batch. Returns false when the operator declined. */
async function rollOut(request: RunRequest, sessions: ReadonlyMap<string, HostSession>): Promise<boolean> {
  const { sink, signal, plays } = request;
  const touched = new Set<string>();
  let asked = request.confirm === undefined;
  for (const play of plays) {
    const groups = batches(play.hosts, play.serial);
    const canary = groups.length > 1 ? groups[0]!.length : 1;
    for (const [index, group] of groups.entries()) {
      if (signal.aborted) return true;
      // Who can not be reached, or must not be changed, is known before anything is.
      if (stop(request, play, groups, index, sessions, 'before')) return true;
      const todo = group
        .map((n) => sessions.get(n)!)
        .filter((h) => !h.failed && h.pending(play.index).length > 0);
      const after = new Set([...touched, ...todo.map((h) => h.name)]);
      if (!asked && after.size > canary && todo.length > 0) {
        asked = true;
        const rest = [...sessions.values()].filter(
          (h) => !h.failed && plays.some((p) => h.pending(p.index).length > 0),
        );
        if (
          !(await request.confirm!(
            rest.map((h) => h.report()),
            rest.length,
          ))
        )
          return false;
      }
      sink({
        at: Date.now(),
        type: 'batch-started',
        play: play.name,
        batch: index + 1,
        batches: groups.length,
        hosts: group,
        canary: index === 0 && groups.length > 1,
      });
      await Promise.all(
        todo.map(async (host) => {
          touched.add(host.name);
          await host.apply(play.index);
          const later = plays.some((p) => p.index > play.index && host.pending(p.index).length > 0);
          if (host.failed || !later) await finish(request, host);
        }),
      );
      if (!signal.aborted && stop(request, play, groups, index, sessions, 'after')) return true;
    }
  }
  return true;
}

/** Whether the rollout ends here, by what is known of the play's hosts; says why. */
function stop(
  { sink }: RunRequest,
  play: BoundPlay,
  groups: readonly (readonly string[])[],
  index: number,
  sessions: ReadonlyMap<string, HostSession>,
  when: 'before' | 'after',
): boolean {
  const failed = (names: readonly string[]) => names.filter((name) => sessions.get(name)!.failed).length;
  const reason = stopReason({
    failed: failed(play.hosts),
    hosts: play.hosts.length,
    maxFailPercentage: play.maxFailPercentage,
    canaryFailed: index === 0 && groups.length > 1 && failed(groups[0]!) > 0,
  });
  if (reason)
    sink({ at: Date.now(), type: 'warning', message: `stopped ${when} batch ${index + 1}: ${reason}` });
  return reason !== null;
}

async function finish(request: RunRequest, host: HostSession): Promise<void> {
  await host.close();
  request.sink({ at: Date.now(), type: 'host-finished', host: host.name, report: host.report() });
}

function leftOver(request: RunRequest, host: HostSession, job: { id: string; state: string }): void {
  const message =
    job.state === 'running'
      ? `job ${job.id} of an earlier run is still running: this is the state in between`
      : `job ${job.id} of an earlier run was not collected; the next apply does`;
  request.sink({ at: Date.now(), type: 'warning', host: host.name, message });
}
