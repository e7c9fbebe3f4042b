import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { EventSink, HostReport, HostStatus, Phase, TaskReport } from '../events/events.ts';
import { parseFacts } from '../facts/probe.ts';
import type { Host } from '../inventory/host.ts';
import { type Diagnostic, FleetError } from '../lib/errors.ts';
import type { Declaration } from '../playbook/declaration.ts';
import type { ResourceKind } from '../resources/kind.ts';
import type { Connection, Frame, ScriptResult, Transport } from '../transport/connection.ts';
import { type HostPlan, type PlannedTask, planHost, reportTask, toldOf } from './host-plan.ts';
import { JobLogReader, type JobResult, parseResult } from './job-log.ts';
import { followScript, forgetScript, launchScript, waitScript } from './job-script.ts';
import { taskOutcome, verifyOutcome } from './outcome.ts';
import { buildProbe, type HostProbe } from './probe.ts';

const PROBE_DEADLINE = 180;
const PROBE_BYTES = 16 * 1024 * 1024;
const LOG_BYTES = 16 * 1024 * 1024;
const RECONNECTS = [1, 3, 10];
const BUSY_TRIES = 10;

export interface SessionOptions {
  host: Host;
  declarations: readonly Declaration[];
  kinds: ReadonlyMap<string, ResourceKind>;
  transport: Transport;
  runId: string;
  sink: EventSink;
  signal: AbortSignal;
}

/** A job that an earlier run left on the host. */
export interface LeftJob {
  id: string;
  state: 'running' | 'done' | 'cut';
}

/**
 * One host during one run: its connection, its plan and what became of each task. Methods reject only on bugs; what goes
 * wrong with the host is kept as its verdict.
 */
export class HostSession {
  readonly name: string;
  plan: HostPlan | null = null;
  /** the job that runs there now, if any */
  job: string | null = null;
  left: LeftJob[] = [];
  roundTrips = 0;
  private readonly options: SessionOptions;
  private readonly become: boolean;
  private readonly probe: HostProbe;
  private readonly reports = new Map<Declaration, TaskReport>();
  /** declarations that were finished by a further job, as the first was planned before all was known */
  private readonly repeated = new Set<Declaration>();
  private connection: Connection | null = null;
  private failure: { status: HostStatus; error: Diagnostic } | null = null;

  constructor(options: SessionOptions) {
    this.options = options;
    this.name = options.host.name;
    this.become = options.declarations.some((d) => d.become) || options.host.connection.become === true;
    this.probe = buildProbe(options.declarations, options.kinds);
  }

  get failed(): boolean {
    return this.failure !== null;
  }

  /** Connects, probes and plans; touches nothing. */
  async inspect(): Promise<void> {
    await this.guarded(async () => {
      await this.connect();
      await this.replan('probe');
    });
  }

  /** Waits for, or collects, what an earlier run left; then the plan is made anew. */
  async collectLeftJobs(): Promise<void> {
    if (this.left.length === 0) return;
    await this.guarded(async () => {
      for (const { id, state } of this.left) {
        if (state === 'running') {
          this.phase('wait', `an earlier run's job ${id} still runs here`);
          this.warn(`waiting for job ${id} of an earlier run`);
        }
        const status = state === 'cut' ? state : (await this.follow(id, null, () => undefined)).status;
        this.warn(
          status === 'cut'
            ? `job ${id} of an earlier run was cut short; its steps are planned again`
            : status === 'gone'
              ? `job ${id} of an earlier run was collected by another run`
              : `collected job ${id} of an earlier run: ${status}`,
        );
      }
      const ids = this.left.map((job) => job.id);
      await this.replan('probe', forgetScript(ids));
    });
  }

  /** Tasks of a play that apply would change. */
  pending(playIndex: number): readonly PlannedTask[] {
    return (this.plan?.tasks ?? []).filter(
      (t) => t.declaration.playIndex === playIndex && t.verdict.status === 'change',
    );
  }

  /**
   * Runs the steps of a play as one detached job, follows it, and verifies by a fresh probe. What that probe finds out of
   * sync because of what was applied (a loaded module whose file is new) goes as a further job, until nothing is left.
   */
  async apply(playIndex: number): Promise<void> {
    await this.guarded(async () => {
      const done = new Set<Declaration>();
      const again = new Set<Declaration>();
      let busy = 0;
      for (;;) {
        const tasks = this.due(playIndex, done);
        if (tasks.length === 0) return;
        const id = `${this.options.runId}-${randomBytes(4).toString('hex')}`;
        const result = await this.runJob(id, tasks);
        if (result.status !== 'busy') {
          await this.verify(tasks, id, again);
          if (this.failure) return;
          for (const { declaration } of tasks) if (!again.delete(declaration)) done.add(declaration);
        } else if (busy++ < BUSY_TRIES) {
          // The lock was held for a moment only, or by a job that shows now and is waited for.
          await sleep(200 + Math.random() * 800, undefined, { signal: this.options.signal });
          await this.replan('probe', forgetScript([id]));
          await this.collectLeftJobs();
          if (this.failure) return;
        } else
          throw this.error('E_BUSY', 'another job holds the lock', 'run it again when that job is through');
      }
    });
  }

  /** The verdict on the host as it stands. */
  report(): HostReport {
    const tasks = (this.plan?.tasks ?? []).map((t) => {
      const report = this.reports.get(t.declaration);
      // What is told of a host that is as declared is known only by the probe after the apply.
      return report ? { ...report, ...toldOf(t) } : reportTask(t, this.name);
    });
    for (const [declaration, report] of this.reports)
      if (!this.plan?.tasks.some((t) => t.declaration === declaration)) tasks.push(report);
    const has = (status: TaskReport['status']) => tasks.some((t) => t.status === status);
    const status: HostStatus =
      this.failure?.status ??
      (!this.plan
        ? 'skipped'
        : has('failed')
          ? 'failed'
          : has('pending')
            ? 'pending'
            : has('changed')
              ? 'changed'
              : 'ok');
    return {
      name: this.name,
      status,
      changes: tasks.filter((t) => t.status === 'changed' || t.status === 'pending').length,
      tasks,
      error: this.failure?.error ?? tasks.find((t) => t.error)?.error ?? null,
    };
  }

  /** A blocked or unreadable task stops the host before anything changes. */
  stopIfBlocked(): void {
    const blocked = this.plan?.tasks.map((t) => reportTask(t, this.name)).find((r) => r.status === 'failed');
    if (blocked?.error && !this.failure) this.failure = { status: 'failed', error: blocked.error };
  }

  async close(): Promise<void> {
    const connection = this.connection;
    this.connection = null;
    if (!connection) return;
    this.roundTrips += connection.roundTrips;
    await connection.close();
  }

  /** Tasks that a job is to apply now: what is `done` is not done twice, but for handlers that are notified anew. */
  private due(playIndex: number, done: ReadonlySet<Declaration>): readonly PlannedTask[] {
    const pending = this.pending(playIndex);
    const tasks = pending.filter(({ declaration: d }) => !d.handler && !done.has(d));
    const notified = new Set(tasks.flatMap(({ declaration }) => declaration.notify));
    return pending.filter(
      (t) => tasks.includes(t) || (t.declaration.handler && notified.has(t.declaration.task)),
    );
  }

  private async connect(): Promise<Connection> {
    if (this.connection?.alive) return this.connection;
    await this.close();
    this.phase('connect');
    this.connection = await this.options.transport.connect(this.options.host, this.options.signal);
    return this.connection;
  }

  private async replan(phase: Phase, before = ''): Promise<void> {
    await this.connect();
    const result = await this.probeHost(phase, before);
    const facts = result.frames.get('facts');
    if (!facts) throw this.error('E_PROBE', 'the probe gave no facts', 'does the login shell run POSIX sh?');
    this.left = parseLeftJobs(result.frames.get('jobs')?.body);
    this.plan = planHost(
      this.options.declarations,
      parseFacts(facts.body),
      result.frames,
      this.probe,
      this.options.kinds,
    );
  }

  /** Runs the probe; over a new connection where the link breaks under it, as it only reads and may be run again. */
  private async probeHost(phase: Phase, before: string): Promise<ScriptResult> {
    for (let attempt = 0; ; attempt++) {
      try {
        const connection = await this.connect();
        this.phase(phase);
        return await connection.run({
          body: [before, this.probe.body],
          become: this.become,
          deadline: PROBE_DEADLINE,
          maxBytes: PROBE_BYTES,
          signal: this.options.signal,
        });
      } catch (error) {
        const lost = error instanceof FleetError && error.code === 'E_UNREACHABLE';
        if (!lost || attempt >= RECONNECTS.length) throw error;
        await sleep(RECONNECTS[attempt]! * 1000, undefined, { signal: this.options.signal });
      }
    }
  }

  private async runJob(id: string, tasks: readonly PlannedTask[]): Promise<JobResult> {
    const steps = tasks.flatMap((task) => task.steps.map((step) => ({ task, step })));
    const mark = randomBytes(8).toString('hex');
    const body = launchScript({
      id,
      mark,
      meta: JSON.stringify({
        version: 1,
        mark,
        steps: steps.map(({ task, step }) => [task.declaration.task, step.title]),
      }),
      steps: steps.map(({ task, step }) => ({
        script: step.script,
        guard: step.guard,
        deadline: step.deadline ?? 300,
        user: !task.declaration.become && this.become,
        payloads: step.payloads ?? [],
      })),
    });
    this.phase('apply');
    this.job = id;
    const logs = new Map<number, readonly string[]>();
    const events = {
      started: (index: number) => {
        const at = steps[index];
        if (at && steps[index - 1]?.task !== at.task)
          this.emit({ type: 'task-started', ...taskOf(at.task), host: this.name });
      },
      ended: (index: number, _rc: string, last: readonly string[]) => void logs.set(index, last),
      line: (index: number, line: string) => {
        const at = steps[index];
        if (at) this.emit({ type: 'task-line', host: this.name, task: at.task.declaration.task, line });
      },
    };
    const deadline = steps.reduce((sum, { step }) => sum + (step.deadline ?? 300) + 70, 120);
    const result = await this.follow(id, mark, () => events, body, deadline);
    this.job = null;
    if (result.status === 'busy') return result;
    for (const task of tasks) {
      const report = taskOutcome(this.name, task, steps, result, logs);
      this.reports.set(task.declaration, report);
      if (report.status !== 'pending') this.emit({ type: 'task-finished', host: this.name, report });
    }
    return result;
  }

  /** Follows a job's log to its result; a lost link is taken up again, the job does not notice. */
  private async follow(
    id: string,
    mark: string | null,
    events: () => ConstructorParameters<typeof JobLogReader>[1] | undefined,
    launch?: (string | Buffer)[],
    deadline = 7200,
  ): Promise<JobResult> {
    const listener = events() ?? {
      started() {},
      ended() {},
      line: (_: number, line: string) =>
        this.emit({ type: 'task-line', host: this.name, task: `job ${id}`, line }),
    };
    const reader = new JobLogReader(mark, listener);
    let body: (string | Buffer)[] = launch ?? [followScript(id)];
    let seen = 0;
    let waits = false;
    for (let attempt = 0; ; attempt++) {
      try {
        const connection = await this.connect();
        const frames = new Map<string, Frame>();
        await connection.run({
          body,
          become: this.become,
          deadline,
          maxBytes: LOG_BYTES,
          onFrame: (frame) => {
            frames.set(frame.id, frame);
            if (frame.id === 'meta') reader.learn(frame.body);
          },
          streamId: 'log',
          onChunk: (chunk) => reader.push(chunk),
          signal: this.options.signal,
        });
        const left = this.jobResult(frames);
        // Another run that waited for this job has collected it a moment before us: the log has told as much.
        const told = left.status === 'gone' && reader.result.status !== 'cut';
        return told ? reader.result : left;
      } catch (error) {
        if (!(error instanceof FleetError)) throw error;
        // What has gone on meanwhile is no reason to give up: tries are counted from there.
        if (error.code === 'E_UNREACHABLE' && reader.bytes > seen) attempt = 0;
        seen = reader.bytes;
        if (error.code === 'E_LIMIT' && !waits) {
          // Its log is more than we take. Who sends as much where nothing is to be said is not listened to again.
          waits = true;
          body = [waitScript(id)];
        } else if (['E_UNREACHABLE', 'E_TIMEOUT'].includes(error.code) && attempt < RECONNECTS.length) {
          await sleep(RECONNECTS[attempt]! * 1000, undefined, { signal: this.options.signal });
          // Before the first byte of the log it is not known that the job started: the launch script follows one that did.
          if (!waits && (reader.bytes > 0 || !launch)) body = [followScript(id, reader.bytes)];
        } else throw error;
      }
    }
  }

  private jobResult(frames: ReadonlyMap<string, Frame>): JobResult {
    const launch = frames.get('launch');
    const said = launch?.body.toString('utf8').trim() ?? '';
    if (launch && launch.rc !== 0) {
      // Nothing of it goes on there.
      this.job = null;
      throw this.error(
        'E_STEP',
        `the job could not start: ${said}`,
        'nothing was changed; mend that on the host',
      );
    }
    if (said === 'busy') return { status: 'busy', steps: new Map() };
    return parseResult(frames.get('result')?.body ?? Buffer.alloc(0));
  }

  /**
   * Probes again: what is still not as declared is a failure. Forgets the job, whose result has been seen.
   * @param again gets the declarations that were planned before all was known, and that a further job is to finish
   */
  private async verify(applied: readonly PlannedTask[], job: string, again: Set<Declaration>): Promise<void> {
    await this.replan('verify', forgetScript([job]));
    for (const { declaration, verdict: planned } of applied) {
      const report = this.reports.get(declaration);
      const fresh = this.plan!.tasks.find((task) => task.declaration === declaration);
      if (report?.status !== 'changed' || !fresh) continue;
      const provisional = planned.status === 'change' && planned.provisional;
      if (provisional && fresh.verdict.status === 'change' && !this.repeated.has(declaration)) {
        this.repeated.add(declaration);
        again.add(declaration);
        continue;
      }
      const verdict = verifyOutcome(this.name, fresh, report);
      if (!verdict) continue;
      this.reports.set(declaration, verdict);
      this.emit({ type: 'task-finished', host: this.name, report: verdict });
    }
    const failed = [...this.reports.values()].find((r) => r.status === 'failed');
    if (failed?.error) this.failure = { status: 'failed', error: failed.error };
  }

  private async guarded(work: () => Promise<void>): Promise<void> {
    if (this.failure) return;
    try {
      await work();
    } catch (error) {
      if (this.options.signal.aborted) {
        this.failure = {
          status: 'failed',
          error: {
            code: 'E_INTERRUPTED',
            message: this.job ? `interrupted; job ${this.job} goes on there` : 'interrupted',
            hint: this.job ? 'the next apply waits for it and collects its result' : undefined,
            host: this.name,
          },
        };
        return;
      }
      if (!(error instanceof FleetError)) throw error;
      const first = error.diagnostics[0]!;
      const lost = ['E_UNREACHABLE', 'E_TIMEOUT', 'E_HOST_KEY', 'E_AUTH'].includes(first.code);
      const hint = this.job
        ? `job ${this.job} goes on there; run it again to collect its result`
        : first.hint;
      this.failure = {
        status: lost ? 'unreachable' : 'failed',
        error: { ...first, hint, host: this.name },
      };
    }
  }

  private error(code: Diagnostic['code'], message: string, hint: string): FleetError {
    return new FleetError({ code, message, hint, host: this.name });
  }

  private phase(phase: Phase, text?: string): void {
    this.emit({ type: 'host-phase', host: this.name, phase, ...(text === undefined ? {} : { text }) });
  }

  private warn(message: string): void {
    this.emit({ type: 'warning', host: this.name, message });
  }

  private emit(
    event: Parameters<EventSink>[0] extends infer E
      ? E extends { at: number }
        ? Omit<E, 'at'>
        : never
      : never,
  ): void {
    this.options.sink({ at: Date.now(), ...event } as Parameters<EventSink>[0]);
  }
}

function taskOf({ declaration }: PlannedTask): { play: string; task: string; kind: string } {
  return { play: declaration.play, task: declaration.task, kind: declaration.kind };
}

function parseLeftJobs(body: Buffer | undefined): LeftJob[] {
  const jobs: LeftJob[] = [];
  for (const line of (body?.toString('latin1') ?? '').split('\n')) {
    const match = /^job ([a-z0-9-]{1,64}) (running|done|cut)$/.exec(line);
    if (match && jobs.length < 20) jobs.push({ id: match[1]!, state: match[2] as LeftJob['state'] });
  }
  return jobs;
}
