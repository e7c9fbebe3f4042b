import { parseArgs } from 'node:util';
import { kernelLines } from '../lines.ts';
import { prepareModule } from '../prepare.ts';
import { dmQcow2 } from '../qcow2-guest.ts';
import type { Clock } from './guest.ts';
import { writeQcow2Results } from './page.ts';
import { programFiles } from './program-files.ts';
import { qcow2Programs, runQcow2Bench, ways, works } from './qcow2-guest.ts';
import { qcow2Table } from './qcow2-tables.ts';
import { log, showMeasurements, showTrouble } from './report.ts';

const usage = `usage: npm run bench:qcow2 [-- OPTION...]
  --lines LIST      kernel lines (default: ${kernelLines.map(({ line }) => line).join(',')})
  --clock LIST      icount,wall (default: wall)
  --ways LIST       ${ways.map(({ name }) => name).join(',')}
  --works TEXT      only works whose name has this in it: ${works.map(({ text }) => text).join(', ')}
  --depths LIST     requests in flight (default: 1,32)
  --rounds N        measurements of each (default: 3)
  --seconds S       time of a measurement (default: 0.5)
  --json            results as JSON lines on stdout instead of tables
  --write           put the tables into docs/performance.md
`;

const text = { type: 'string' } as const;

/** `npm run bench:qcow2`: returns 0 when every measurement was made. */
export async function main(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      ...{ lines: text, clock: text, ways: text, works: text, depths: text, rounds: text, seconds: text },
      json: { type: 'boolean' },
      write: { type: 'boolean' },
      help: { type: 'boolean' },
    },
  });
  if (values.help) {
    process.stdout.write(usage);
    return 0;
  }
  const chosen = { lines: values.lines?.split(','), ways: values.ways?.split(',') };
  const lines = kernelLines.filter(({ line }) => chosen.lines?.includes(line) ?? true);
  const plan = {
    works: works.filter(({ text }) => text.includes(values.works ?? '')),
    depths: (values.depths ?? '1,32').split(',').map(Number),
    rounds: Number(values.rounds ?? 3),
    seconds: Number(values.seconds ?? 0.5),
    ways: ways.filter(({ name }) => chosen.ways?.includes(name) ?? true),
  };
  const clocks = (values.clock ?? 'wall').split(',') as Clock[];
  if (
    [lines, plan.works, plan.ways].some((list) => list.length === 0) ||
    clocks.some((clock) => !['icount', 'wall'].includes(clock)) ||
    [...plan.depths, plan.rounds, plan.seconds].some((number) => !(number > 0))
  )
    throw new Error(`nothing to measure, or no such clock or number\n${usage}`);
  const tools = await programFiles(qcow2Programs.packages, qcow2Programs.programs, log);
  let failed = false;
  for (const line of lines) {
    const prepared = await prepareModule(dmQcow2, line, log);
    for (const clock of clocks) {
      log(`measuring on ${prepared.image.release}, ${clock}`);
      const result = await runQcow2Bench(prepared, clock, plan, tools);
      showMeasurements(result, qcow2Table(result), values.json === true);
      showTrouble(result);
      if (values.write) writeQcow2Results(result);
      failed = failed || result.boot.exit !== 0;
    }
  }
  return failed ? 1 : 0;
}
