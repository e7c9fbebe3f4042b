import { parseArgs } from 'node:util';
import type { BootRequest } from '../boot.ts';
import { kernelLines } from '../lines.ts';
import { prepareLine } from '../prepare.ts';
import { HALT_POLL_US } from './goals.ts';
import { type Clock, engines, type Plan, runBench } from './guest.ts';
import { writeResults } from './page.ts';
import { storageDaemonFiles } from './program-files.ts';
import { log, showMeasurements, showTrouble } from './report.ts';
import { ratioTable } from './tables.ts';

const usage = `usage: npm run bench:kernel [-- OPTION...]
  --lines LIST      kernel lines (default: ${kernelLines.map(({ line }) => line).join(',')})
  --clock LIST      icount,wall (default: both)
  --engines LIST    see vhost-blk-bench --help (default: ${engines.join(',')}; on the
                    wall clock some more at depth 1, and fewer where goals ask for none)
  --ops LIST        read,write
  --depths LIST     transfers in flight on a queue
  --queues LIST     queues
  --rounds N        measurements of each
  --seconds S       time of a measurement
  --pass OPTION     one more option for vhost-blk-bench; may be repeated
  --json            results as JSON lines on stdout instead of tables
  --write           put the tables into docs/performance.md
`;

// Repeats under icount agree, so two short rounds tell all; on the machine's own clock the best of some does. One CPU has
// no use for more queues than one, and there the module does not poll.
const short = { ops: ['read', 'write'], rounds: 2, seconds: 0.2, warmUp: 0.05 };
const long = { ops: ['read', 'write'], rounds: 3, seconds: 0.3, warmUp: 0.1 };
const [own, ...others] = engines;
const polling = [own, 'vhost-blk-sleep', 'vhost-blk-poll'];
const defaults: Record<Clock, readonly Plan[]> = {
  icount: [{ ...short, engines, depths: [1, 32, 128], queues: [1] }],
  wall: [
    { ...long, engines: [...polling, ...others], depths: [1], queues: [1] },
    {
      ...{ ...long, engines: [...polling, 'vhost-user-blk'], depths: [1], queues: [1] },
      options: ['--halt-poll', String(HALT_POLL_US)],
    },
    { ...long, engines, depths: [32], queues: [1] },
    { ...long, engines: [own, 'libaio', 'io_uring'], depths: [128], queues: [1, 2] },
  ],
};

const text = { type: 'string' } as const;

/** `npm run bench:kernel`: returns 0 when every measurement that could be made was. */
export async function main(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      lines: text,
      clock: text,
      engines: text,
      ops: text,
      depths: text,
      queues: text,
      rounds: text,
      seconds: text,
      pass: { type: 'string', multiple: true },
      json: { type: 'boolean' },
      write: { type: 'boolean' },
      help: { type: 'boolean' },
    },
  });
  if (values.help) {
    process.stdout.write(usage);
    return 0;
  }
  const words = (key: 'lines' | 'clock' | 'engines' | 'ops' | 'depths' | 'queues') => values[key]?.split(',');
  const lines = kernelLines.filter(({ line }) => words('lines')?.includes(line) ?? true);
  const clocks = (words('clock') ?? ['icount', 'wall']) as Clock[];
  if (lines.length === 0 || clocks.some((clock) => !(clock in defaults)))
    throw new Error(`no such kernel line or clock\n${usage}`);
  let failed = false;
  let daemon: NonNullable<BootRequest['files']> | undefined;
  for (const line of lines) {
    const prepared = await prepareLine(line, log);
    for (const clock of clocks) {
      // Who says what to measure wants it once.
      const chosen = words('engines') ?? words('depths') ?? words('queues');
      const plans = defaults[clock].slice(0, chosen ? 1 : undefined).map((base) => ({
        engines: words('engines') ?? base.engines,
        ops: words('ops') ?? base.ops,
        depths: words('depths')?.map(Number) ?? base.depths,
        queues: words('queues')?.map(Number) ?? base.queues,
        rounds: Number(values.rounds ?? base.rounds),
        seconds: Number(values.seconds ?? base.seconds),
        warmUp: base.warmUp,
        options: [...(base.options ?? []), ...(values.pass ?? [])],
      }));
      if (plans.some((plan) => plan.engines.includes('vhost-user-blk')))
        daemon ??= await storageDaemonFiles(log);
      log(`measuring on ${prepared.image.release}, ${clock}`);
      const result = await runBench(prepared, clock, plans, daemon ?? []);
      showMeasurements(result, ratioTable(result), values.json === true);
      for (const one of result.measurements.filter(({ outcome }) => outcome !== 'ok'))
        log(`${one.engine} on ${one.disk}, ${one.op}, depth ${one.depth}: ${one.outcome}: ${one.trouble}`);
      showTrouble(result);
      if (values.write) writeResults(result);
      failed = failed || result.boot.exit !== 0;
    }
  }
  return failed ? 1 : 0;
}
