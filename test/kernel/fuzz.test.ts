import { cpSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cacheFolder } from '../../src/lab/debian/cache.ts';
import { type Change, Fuzzer, type FuzzerRun, vring } from './fuzzer.ts';
import { showTable } from './table.ts';

// A root with clang, three minutes; a build, half a minute; a million runs, some minutes.
const BUILD_MS = 45 * 60_000;
const RUN_MS = 65 * 60_000;

const RUNS = 1_000_000;
const seeds = [1, 2];

/** Checks that are taken out, and what must then be said. */
const bugs: readonly (Change & { name: string; report: RegExp })[] = [
  {
    name: 'an indirect table of any length',
    file: 'vring.c',
    from: 'if (count > ARRAY_SIZE(chain->table))',
    to: 'if (false)',
    report: /AddressSanitizer: heap-buffer-overflow|UndefinedBehaviorSanitizer/,
  },
  {
    name: 'a descriptor chain that is a loop',
    file: 'vring.c',
    from: 'if (++found > vring->num)',
    to: 'if (false)',
    report: /AddressSanitizer|runtime error|libFuzzer: timeout/,
  },
  {
    name: 'regions of guest memory that overlap',
    file: 'mem.c',
    from: 'if (mem->region[i].gpa - mem->region[i - 1].gpa < mem->region[i - 1].size)',
    to: 'if (false)',
    report: /not so: /,
  },
];

const log = (line: string) => console.log(`[fuzz] ${line}`);
const lines: string[] = [];

describe("the module's parsers in user space", () => {
  let fuzzer: Fuzzer;

  beforeAll(async () => {
    fuzzer = await Fuzzer.build(log, vring);
  }, BUILD_MS);

  afterAll(() => {
    fuzzer?.remove();
    if (lines.length > 0) showTable('parsers of vhost_blk under sanitizers', lines.join('\n'));
  });

  test.each(seeds)(
    `stand ${RUNS} runs of libFuzzer with ASan and UBSan, seed %i`,
    async (seed) => {
      const run = await fuzzer.fuzz({ runs: RUNS, seed });
      const units = Number(/^stat::number_of_executed_units: (\d+)$/m.exec(run.output)?.[1] ?? 0);
      lines.push(`libFuzzer, clang, seed ${seed}: ${units} runs, ${coverageOf(run)}, exit ${run.code}`);
      expect(fuzzer.found(), keepFound(fuzzer, run)).toEqual([]);
      expect(run.code, tailOf(run)).toBe(0);
      expect(units).toBeGreaterThanOrEqual(RUNS);
    },
    RUN_MS,
  );

  test(
    'stand variants of each seed, as gcc builds them',
    async () => {
      const run = await fuzzer.replay(1000);
      const inputs = Number(/^(\d+) inputs$/m.exec(run.output)?.[1] ?? 0);
      lines.push(`replay, gcc: ${inputs} inputs, exit ${run.code}`);
      expect(run.code, tailOf(run)).toBe(0);
      expect(inputs).toBeGreaterThan(200_000);
    },
    RUN_MS,
  );
});

describe('the fuzzer finds a check that is missing', () => {
  test.each(bugs)(
    '$name',
    async (bug) => {
      const fuzzer = await Fuzzer.build(log, vring, bug);
      try {
        const run = await fuzzer.fuzz({ runs: RUNS, seed: 1 });
        const last = [...run.output.matchAll(/^#(\d+)/gm)].at(-1)?.[1] ?? 0;
        lines.push(`without the check for ${bug.name}: found, exit ${run.code}, not long after run ${last}`);
        expect(run.code).not.toBe(0);
        expect(run.output).toMatch(bug.report);
      } finally {
        fuzzer.remove();
      }
    },
    BUILD_MS + RUN_MS,
  );
});

function coverageOf({ output }: FuzzerRun): string {
  return [...output.matchAll(/cov: \d+ ft: \d+/g)].at(-1)?.[0] ?? 'no coverage told';
}

function tailOf({ output }: FuzzerRun): string {
  return output.split('\n').slice(-60).join('\n');
}

/** Keeps inputs that failed, and says where. */
function keepFound(fuzzer: Fuzzer, run: FuzzerRun): string {
  if (fuzzer.found().length === 0) return tailOf(run);
  const kept = join(cacheFolder(), 'logs', 'fuzz-found');
  mkdirSync(kept, { recursive: true });
  cpSync(join(fuzzer.folder, 'found'), kept, { recursive: true });
  return `${tailOf(run)}\ninputs: ${kept}`;
}
