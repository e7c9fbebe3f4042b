import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildRoot } from '../../src/lab/debian/root.ts';
import { BRIDGE_TEST, type Change, Workshop } from './bridge.ts';

const BUILD_MS = 45 * 60_000;
const RUN_MS = 65 * 60_000;
const RUNS = 300_000;

/** Checks that are taken out, and what must then be said, by the fuzzer or the frontends by chance. */
const bugs: readonly (Change & { name: string; report: RegExp })[] = [
  {
    name: 'a log without room for a used ring',
    file: 'rings.c',
    from: 'ring_check_log(ring, index, session->log_bytes, reason) || find_base(',
    to: 'find_base(',
    report: /given what it must not be: the log of a used ring/,
  },
  {
    name: 'a log without room for all memory',
    file: 'tables.c',
    from: 'if (dirty_log_check(session, session->features, next, reason) ||',
    to: 'if (',
    report: /given what it must not be: the log of guest memory/,
  },
  {
    name: 'a log without room for memory that is added',
    file: 'tables.c',
    from: 'if (!dirty_log_check(session, session->features, memory, reason) && ',
    to: 'if (',
    report: /given what it must not be: the log of guest memory/,
  },
  {
    name: 'a log without room when a ring starts',
    file: 'rings.c',
    from: 'dirty_log_check_start(session, reason) ||',
    to: '',
    report: /given what it must not be: the log of guest memory/,
  },
  {
    name: 'memory that goes while requests may be in it',
    file: 'tables.c',
    from: 'bool pause = memory_drops(next, &session->memory);',
    to: 'bool pause = false;',
    report: /given what it must not be: a table without memory/,
  },
  {
    name: 'a log that stays mapped',
    file: 'session.c',
    from: 'mapping_remove(&session->log);',
    to: '',
    report: /left: 0 descriptors, 1 mappings/,
  },
  {
    name: 'an eventfd that stays open',
    file: 'vring_messages.c',
    from: '	ring_close_fd(place);\n',
    to: '',
    report: /left: [1-9]\d* descriptors/,
  },
];

const log = (line: string) => console.log(`[bridge fuzz] ${line}`);
let root: string;

async function build(goal: string, change?: Change): Promise<Workshop> {
  const workshop = Workshop.open(root);
  try {
    if (change) workshop.change(change);
    await workshop.make(BRIDGE_TEST, goal);
  } catch (error) {
    workshop.remove();
    throw error;
  }
  return workshop;
}

beforeAll(async () => {
  root = await buildRoot(
    { suite: 'trixie', include: ['clang', 'gcc', 'libc6-dev', 'libclang-rt-dev', 'make'] },
    log,
  );
}, BUILD_MS);

describe("the bridge's messages under libFuzzer", () => {
  let workshop: Workshop;

  beforeAll(async () => {
    workshop = await build('libfuzzer replay');
    for (const folder of ['corpus', 'found', 'seeds']) mkdirSync(join(workshop.folder, folder));
    await workshop.run('out/replay-messages --write seeds --runs 200', RUN_MS);
  }, BUILD_MS);

  afterAll(() => workshop?.remove());

  test(
    `stand ${RUNS} runs`,
    async () => {
      const options = `-runs=${RUNS} -seed=1 -max_len=4096 -timeout=60 -rss_limit_mb=4096 -artifact_prefix=found/`;
      const { code, output } = await workshop.run(`out/fuzz-messages ${options} corpus seeds`, RUN_MS);
      expect(readdirSync(join(workshop.folder, 'found')), output.slice(-8000)).toEqual([]);
      expect(code, output.slice(-8000)).toBe(0);
      const covered = [...output.matchAll(/cov: (\d+)/g)].map((found) => Number(found[1]));
      expect(covered.at(-1)).toBeGreaterThan(300);
    },
    RUN_MS,
  );
});

describe('a check that is missing is found', () => {
  test.each(bugs)(
    '$name',
    async (bug) => {
      const workshop = await build('CFLAGS="-O1 -Wno-error" replay', bug);
      try {
        const { code, output } = await workshop.run('out/replay-messages --runs 100000', RUN_MS);
        expect(code).not.toBe(0);
        expect(output).toMatch(bug.report);
      } finally {
        workshop.remove();
      }
    },
    BUILD_MS + RUN_MS,
  );
});
