import type { BenchReport, BenchRw, BenchWay } from '../events/bench.ts';
import { FleetError } from '../lib/errors.ts';
import { cut, printable } from '../lib/terminal.ts';
import type { Connection, Frame } from '../transport/connection.ts';
import { benchDeadline, benchScript, settleScript } from './host-script.ts';
import { type PlannedBench, planBench, ways } from './plan.ts';
import type { BenchRequest } from './request.ts';
import { Results } from './results.ts';
import { clientSample, fioSample, type Sample } from './sample.ts';
import { parseSurvey, requireMeasurable, type Survey, surveyScript } from './survey.ts';

const SURVEY_SECONDS = 60;
const SURVEY_BYTES = 256 * 1024;
const BENCH_BYTES = 64 * 1024 * 1024;
const SETTLE_SECONDS = 90;
const SAMPLE = /^s\.(\d{1,2})\.(\d{1,2})\.([a-z-]{1,16})\.(randread|randwrite)$/;

export interface BenchOptions {
  request: BenchRequest;
  connection: Connection;
  /** asked once the disk is known to be free, before anything is written; false ends the run */
  confirm: (survey: Survey) => Promise<boolean>;
  /** what it does now, one printable line */
  onNote: (text: string) => void;
  signal: AbortSignal;
}

/** A report without what only its caller knows. */
export type BenchOutcome = Omit<BenchReport, 'command' | 'run' | 'host'>;

/**
 * Measures one host over its connection. Whatever the end, nothing of the run is left there once this returns.
 * @returns null when the question was answered by no
 * @throws FleetError E_BLOCKED when the disk or the host can not be measured, E_BUSY, E_STEP, E_PROBE, E_INTERRUPTED
 */
export async function runBench(options: BenchOptions): Promise<BenchOutcome | null> {
  const { request, connection, signal } = options;
  options.onNote('asking what the host has');
  const answers = await connection.run({
    body: [surveyScript(request)],
    become: true,
    deadline: SURVEY_SECONDS,
    maxBytes: SURVEY_BYTES,
    signal,
  });
  const frame = answers.frames.get('survey');
  if (!frame)
    throw new FleetError({ code: 'E_PROBE', message: 'the survey gave no answer', host: connection.host });
  const survey = parseSurvey(frame.body);
  requireMeasurable(request, survey);
  const planned = planBench(request, survey);
  if (!(await options.confirm(survey))) return null;
  const run = new Run(planned, options.onNote);
  try {
    const { status, stderr } = await connection.run({
      body: [benchScript(planned.plan)],
      become: true,
      deadline: benchDeadline(planned.plan),
      maxBytes: BENCH_BYTES,
      onFrame: (answer) => run.take(answer),
      signal,
    });
    if (status !== 0)
      throw new FleetError({
        code: 'E_STEP',
        message: `the run ended with status ${status}: ${line(stderr.subarray(-400))}`,
      });
  } catch (error) {
    const left = await settle(connection);
    if (left !== '') options.onNote(`left on the host: ${left}`);
    throw error;
  }
  return run.outcome(survey, request);
}

/** What became of the frames of a run. */
class Run {
  readonly #results = new Results();
  readonly #planned: PlannedBench;
  readonly #note: (text: string) => void;
  #disk: BenchReport['disk'] | null = null;
  #driver: BenchReport['driver'] | null = null;

  constructor(planned: PlannedBench, note: (text: string) => void) {
    this.#planned = planned;
    this.#note = note;
    for (const [way, reason] of planned.skipped) this.#results.skip(way, reason);
  }

  /** @throws FleetError for what the host says has failed, and for an answer that makes no sense */
  take({ id, rc, body }: Frame): void {
    const text = line(body);
    const skip = ways.find((way) => id === `skip.${way}`);
    if (id === 'fail') throw failed(text, rc);
    if (id === 'note') this.#note(text);
    else if (id === 'disk') this.#disk = diskOf(text);
    else if (id === 'driver') this.#driver = driverOf(text);
    else if (skip) this.#results.skip(skip, text);
    else this.#measured(id, rc, body);
  }

  #measured(id: string, rc: number, body: Buffer): void {
    const [, , vcpus, way, rw] = SAMPLE.exec(id) ?? [];
    const known = ways.find((name) => name === way);
    if (known === undefined || !this.#planned.plan.vcpus.includes(Number(vcpus))) throw nonsense(`'${id}'`);
    const sample = this.#sample(known, rw as BenchRw, rc, body);
    this.#results.add(known, rw as BenchRw, Number(vcpus), sample);
    this.#note(
      `  ${known} ${rw}: ${sample.ok ? `${Math.round(sample.iops)} IOPS` : printable(cut(sample.reason, 200))}`,
    );
  }

  outcome(survey: Survey, request: BenchRequest): BenchOutcome {
    if (!this.#disk || !this.#driver) throw nonsense('no word of the disk');
    const { plan, warnings } = this.#planned;
    return {
      machine: survey.machine,
      disk: this.#disk,
      request: {
        rw: [...request.rw],
        iodepth: request.iodepth,
        vcpus: [...plan.vcpus],
        runtimeSeconds: request.runtimeSeconds,
        rounds: request.rounds,
        blockBytes: 4096,
      },
      driver: this.#driver,
      results: this.#results.rows(request.rw, plan.vcpus, ways),
      warnings,
    };
  }

  #sample(way: BenchWay, rw: BenchRw, rc: number, body: Buffer): Sample {
    if (rc !== 0) return { ok: false, skipped: false, reason: line(body) || `it ended with status ${rc}` };
    return way === 'host' || this.#driver?.kind !== 'client' ? fioSample(body, rw) : clientSample(body);
  }
}

/** Waits until the host has cleaned up, over the same connection; what it says is still there, else ''. */
async function settle(connection: Connection): Promise<string> {
  if (!connection.alive)
    return 'the link is gone; what runs there ends within a second of noticing, and cleans up';
  try {
    const { frames } = await connection.run({
      body: [settleScript],
      become: true,
      deadline: SETTLE_SECONDS,
      maxBytes: SURVEY_BYTES,
    });
    return line(frames.get('left')?.body ?? Buffer.alloc(0));
  } catch {
    return 'it does not answer whether it has cleaned up; the next run looks for what is left';
  }
}

function diskOf(text: string): BenchReport['disk'] {
  const [, kind, device, bytes] = /^(block|brd|null_blk) (\/dev\/\S{1,200}) (\d{1,18})$/.exec(text) ?? [];
  if (device === undefined) throw nonsense('what it says of the disk');
  return { kind: kind as BenchReport['disk']['kind'], device, bytes: Number(bytes) };
}

function driverOf(text: string): BenchReport['driver'] {
  const [, kind, reason] = /^(kvm|tcg|client) (.*)$/.exec(text) ?? [];
  if (kind === undefined) throw nonsense('what it says of guests');
  return { kind: kind === 'kvm' ? 'guest' : kind === 'tcg' ? 'emulated guest' : 'client', reason: reason! };
}

function failed(text: string, rc: number): FleetError {
  if (rc === 2)
    return new FleetError({ code: 'E_BUSY', message: text, hint: 'run it again when that one is through' });
  return new FleetError({ code: 'E_STEP', message: text });
}

function nonsense(what: string): FleetError {
  return new FleetError({ code: 'E_PROTOCOL', message: `the host's answer makes no sense: ${what}` });
}

/** One printable line of bounded length. */
function line(body: Buffer): string {
  const text = body.subarray(0, 2000).toString('utf8').trim().replace(/\s+/g, ' ');
  return cut(printable(text), 400);
}
