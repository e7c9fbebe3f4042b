import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Log } from '../../src/lab/debian/cache.ts';
import { buildRoot } from '../../src/lab/debian/root.ts';
import { copySource, type ModuleSource, vhostBlk } from './build.ts';
import { inRoot } from './namespace.ts';
import { runLogged } from './process.ts';

const suite = 'trixie';
const include = ['clang', 'gcc', 'libc6-dev', 'libclang-rt-dev', 'make'];
const RUN_MS = 60 * 60_000;
// What is freed is kept from use for many runs still; more of it takes half of the time.
const sanitizers = 'ASAN_OPTIONS=quarantine_size_mb=16:malloc_context_size=8';

/** A change of one place of the module's source: what stands there once → what shall. */
export interface Change {
  file: string;
  from: string;
  to: string;
}

/** What a module's folder fuzz builds, and where inputs to start from come from. */
export interface FuzzTarget {
  module: ModuleSource;
  /** Of its Makefile. */
  targets: readonly string[];
  /** The one with libFuzzer. */
  program: string;
  /** Makes inputs in a folder; none: a target of the Makefile makes them in out/seeds. */
  makeSeeds?: (folder: string) => void;
}

export const vring: FuzzTarget = {
  module: vhostBlk,
  targets: ['libfuzzer', 'replay', 'seeds'],
  program: 'fuzz-vring',
};

/** What a program of the fuzzer's said, and how it ended; null: it was ended. */
export interface FuzzerRun {
  code: number | null;
  output: string;
}

/** The module's parsers as programs in a folder of their own, built and run in a Debian root. */
export class Fuzzer {
  private constructor(
    private readonly root: string,
    readonly folder: string,
    private readonly target: FuzzTarget,
  ) {}

  /**
   * Builds a module's folder fuzz: for libFuzzer by clang, for replay by gcc, and inputs to start from.
   * @param change made in the source first
   * @throws FleetError when the mirror can not be reached; Error with the output of make when it does not build
   */
  static async build(log: Log, target: FuzzTarget, change?: Change): Promise<Fuzzer> {
    const root = await buildRoot({ suite, include }, log);
    const fuzzer = new Fuzzer(root, mkdtempSync(join(tmpdir(), 'blkfleet-fuzzer-')), target);
    copySource(target.module, join(fuzzer.folder, 'source'));
    if (change) fuzzer.change(change);
    for (const name of ['corpus', 'found', 'seeds']) mkdirSync(join(fuzzer.folder, name));
    target.makeSeeds?.(join(fuzzer.folder, 'seeds'));
    const { code, output } = await fuzzer.run(`make -C source/fuzz O=/mnt/out ${target.targets.join(' ')}`);
    if (code === 0) return fuzzer;
    fuzzer.remove();
    throw new Error(`the fuzzer does not build:\n${output}`);
  }

  /** Runs libFuzzer from the seeds on; the same seed does the same. */
  fuzz({ runs, seed }: { runs: number; seed: number }): Promise<FuzzerRun> {
    const options = [
      ...[`-runs=${runs}`, `-seed=${seed}`, '-max_len=65536', '-timeout=60', '-rss_limit_mb=4096'],
      ...['-print_final_stats=1', '-artifact_prefix=/mnt/found/'],
    ];
    const seeds = this.target.makeSeeds ? 'seeds' : 'out/seeds';
    return this.run(`${sanitizers} out/${this.target.program} ${options.join(' ')} corpus ${seeds}`);
  }

  /** Runs each seed and variants of it, without libFuzzer. */
  replay(mutations: number): Promise<FuzzerRun> {
    return this.run(`out/fuzz-replay --mutations ${mutations} out/seeds/*[0-9]`);
  }

  /** Inputs that failed. */
  found(): string[] {
    return readdirSync(join(this.folder, 'found'));
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }

  private change({ file, from, to }: Change): void {
    const path = join(this.folder, 'source', file);
    const parts = readFileSync(path, 'utf8').split(from);
    if (parts.length !== 2) throw new Error(`${file} has ${parts.length - 1} times: ${from}`);
    writeFileSync(path, parts.join(to));
  }

  /** Runs a command in the root, in the fuzzer's folder. */
  async run(command: string): Promise<FuzzerRun> {
    const output = join(this.folder, 'output');
    const argv = inRoot(this.root, { '/mnt': this.folder }, `cd /mnt && ${command}`);
    const { code } = await runLogged(argv, { output, timeoutMs: RUN_MS });
    return { code, output: readFileSync(output, 'latin1') };
  }
}
