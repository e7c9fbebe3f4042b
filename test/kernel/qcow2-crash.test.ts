import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { kernelLines } from './lines.ts';
import { prepareModule } from './prepare.ts';
import { runLogged } from './process.ts';
import { dmQcow2 } from './qcow2-guest.ts';
import { chainOf, makeImages } from './qcow2-images.ts';
import { long } from './run-checks.ts';

const PREPARE_MS = 30 * 60_000;
const RUN_MS = (long ? 60 : 10) * 60_000;
// A round has one to four flushes, and each of them so many losses of power.
const ROUNDS = long ? 15 : 2;
// With blocks of 4096 and of 512 bytes.
const SEEDS = [1, 2];
const OPERATIONS = 25;
const CRASHES = 3;

// Compressed clusters are read by a library that the program does without here.
const names = [
  ...['cluster-512', 'cluster-4k', 'cluster-64k', 'cluster-2M', 'version-2', 'refcount-1', 'growing'],
  ...['preallocated', 'subclusters-16k', 'subclusters-128k', 'zeros', 'snapshots', 'over-raw', 'over-512'],
  ...['over-longer', 'over-shorter'],
  ...['data-file', 'data-file-raw', 'data-file-subclusters'],
];

describe('dm-qcow2 after a loss of power', () => {
  let folder: string;
  let program: string;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'blkfleet-qcow2-'));
    program = join(folder, 'qcow2-crash');
    const line = kernelLines.find(({ line }) => line === '6.12')!;
    const { built } = await prepareModule(dmQcow2, line, console.log);
    writeFileSync(program, built.programs.get('qcow2-crash')!);
    chmodSync(program, 0o755);
    mkdirSync(join(folder, 'images'));
    makeImages(join(folder, 'images'), names);
  }, PREPARE_MS);

  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test.each(names)(
    '%s: what was flushed is there, and nothing worse than a leak',
    async (name) => {
      const chain = chainOf(join(folder, 'images'), name);
      for (const seed of SEEDS) {
        const argv = [program, seed, ROUNDS, OPERATIONS, CRASHES, ...chain];
        const output = join(folder, 'output');
        const ended = await runLogged(argv.map(String), { output, timeoutMs: RUN_MS / 2 });
        expect(ended, readFileSync(output, 'utf8')).toEqual({ code: 0 });
      }
    },
    RUN_MS,
  );
});
