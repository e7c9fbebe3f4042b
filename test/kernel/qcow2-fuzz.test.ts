import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Fuzzer, type FuzzTarget } from './fuzzer.ts';
import { dmQcow2 } from './qcow2-guest.ts';
import { makeImages } from './qcow2-images.ts';
import { drawImage } from './qcow2-option-space.ts';
import { showTable } from './table.ts';

const BUILD_MS = 45 * 60_000;
const RUN_MS = 65 * 60_000;
const RUNS = 200_000;
const MUTATED = 5000;

/** Small images, each behind the eight bytes that say which requests are sent. */
function makeSeeds(folder: string): void {
  const images = mkdtempSync(join(tmpdir(), 'blkfleet-qcow2-'));
  try {
    const options = ['compat=1.1', 'compat=0.10', 'refcount_bits=1', 'refcount_bits=64'];
    for (const [index, option] of options.entries()) {
      const file = join(images, `${index}.qcow2`);
      execFileSync('qemu-img', [
        'create',
        '-q',
        '-f',
        'qcow2',
        '-o',
        `cluster_size=512,${option}`,
        file,
        '64k',
      ]);
      const writes = ['write -P 1 0 5k', 'write -z 6k 4k', 'write -c -P 2 16k 512', 'write -P 3 60k 700'];
      execFileSync('qemu-io', ['-f', 'qcow2', ...writes.flatMap((text) => ['-c', text]), file], {
        stdio: 'pipe',
      });
      // A count of one bit has no room for a snapshot.
      if (option !== 'refcount_bits=1') execFileSync('qemu-img', ['snapshot', '-c', 'one', file]);
      writeFileSync(join(folder, String(index)), Buffer.concat([Buffer.alloc(8, index), readFileSync(file)]));
    }
  } finally {
    rmSync(images, { recursive: true });
  }
}

const parser: FuzzTarget = {
  module: dmQcow2,
  targets: ['libfuzzer', 'all'],
  program: 'fuzz-parse',
  makeSeeds,
};

const lines: string[] = [];

describe("dm-qcow2's own code in user space, under ASan and UBSan", () => {
  let fuzzer: Fuzzer;

  beforeAll(async () => {
    fuzzer = await Fuzzer.build((line) => console.log(`[fuzz] ${line}`), parser);
  }, BUILD_MS);

  afterAll(() => {
    fuzzer?.remove();
    if (lines.length > 0) showTable('dm_qcow2 under sanitizers', lines.join('\n'));
  });

  test(
    `stands ${RUNS} runs of libFuzzer`,
    async () => {
      const { code, output } = await fuzzer.fuzz({ runs: RUNS, seed: 1 });
      const units = Number(/^stat::number_of_executed_units: (\d+)$/m.exec(output)?.[1] ?? 0);
      const coverage = [...output.matchAll(/cov: \d+ ft: \d+/g)].at(-1)?.[0];
      lines.push(`libFuzzer: ${units} runs, ${coverage}, exit ${code}`);
      expect(fuzzer.found(), output.slice(-8000)).toEqual([]);
      expect(code, output.slice(-8000)).toBe(0);
      expect(units).toBeGreaterThanOrEqual(RUNS);
    },
    RUN_MS,
  );

  test(
    `stands ${MUTATED} images with changed metadata`,
    async () => {
      const images = join(fuzzer.folder, 'images');
      mkdirSync(images);
      const made = makeImages(images, [
        'cluster-512',
        'cluster-4k',
        'version-2',
        'refcount-1',
        'snapshots',
        'zeros',
      ]);
      const drawn = Array.from({ length: 20 }, (_, seed) => drawImage(images, `drawn-${seed}`, seed));
      const files = [...made, ...drawn.filter(({ backed }) => !backed)].map(({ file }) => `images/${file}`);
      const { code, output } = await fuzzer.run(`out/qcow2-mutate 1 ${MUTATED} ${files.join(' ')}`);
      lines.push(`${output.trim().split('\n').at(-1)}; exit ${code}`);
      expect(code, output.slice(-8000)).toBe(0);
      expect(output).toMatch(
        new RegExp(`^${MUTATED} rounds, \\d{3,} opened to be read, \\d{3,} to be written`, 'm'),
      );
    },
    RUN_MS,
  );
});
