import { execFileSync } from 'node:child_process';
import { pseudoRandom } from './qcow2-images.ts';

type Draw = (below: number) => number;

/** An image of random options, and how it was made. */
export interface DrawnImage {
  file: string;
  bytes: number;
  /** Whether it has a backing file. */
  backed: boolean;
  /** The commands, for who wants to make it again. */
  recipe: string[];
}

const SECTOR = 512;
const KIB = 1024;

interface Options {
  clusterBits: number;
  /** Of qemu-img create -o. */
  text: string;
  snapshots: boolean;
}

/** Options that go together, of all that qemu-img has but data files and encryption. */
function drawOptions(next: Draw): Options {
  const clusterBits = 9 + next(13);
  const words = [`cluster_size=${1 << clusterBits}`];
  if (next(6) === 0) return { clusterBits, text: [...words, 'compat=0.10'].join(), snapshots: next(4) === 0 };
  const order = next(2) === 0 ? 4 : next(7);
  words.push(`refcount_bits=${1 << order}`);
  if (next(6) === 0) words.push('lazy_refcounts=on');
  if (next(2) === 0) words.push('compression_type=zstd');
  if (clusterBits >= 14 && next(2) === 0) words.push('extended_l2=on');
  // A snapshot counts each cluster once more.
  return { clusterBits, text: words.join(), snapshots: order > 1 && next(4) === 0 };
}

/** A size that is seldom a multiple of the cluster, and some clusters large. */
function drawBytes(next: Draw, clusterBits: number): number {
  const cluster = 1 << clusterBits;
  const wanted = Math.max(1536 * KIB, 2.5 * cluster) + next(1024) * KIB;
  return Math.floor(wanted / SECTOR) * SECTOR - next(3) * SECTOR;
}

/** What qemu-io writes first: whole clusters compressed, each once, and then data, zeros and holes. */
function drawContent(next: Draw, bytes: number, clusterBits: number, compressed: boolean): string[] {
  const cluster = 1 << clusterBits;
  const whole = Math.floor(bytes / cluster);
  const packed = new Set(
    Array.from({ length: compressed && whole > 0 ? next(12) : 0 }, () => next(whole) * cluster),
  );
  const others = Array.from({ length: 6 + next(16) }, () => {
    const sectors = 1 + next(next(3) === 0 ? 400 : 24);
    const range = `${next(bytes / SECTOR - sectors) * SECTOR} ${sectors * SECTOR}`;
    const kind = next(8);
    if (kind === 0) return `discard ${range}`;
    if (kind === 1) return `write -z ${next(2) === 0 ? '-u ' : ''}${range}`;
    return `write -P ${1 + next(255)} ${range}`;
  });
  return [...[...packed].map((at) => `write -c -P ${next(255)} ${at} ${cluster}`), ...others];
}

/**
 * Makes an image by qemu-img, with what is below it, in a folder: which options it has and what it holds is random, and
 * the same for the same seed.
 * @param name begins the names of all its files
 */
export function drawImage(folder: string, name: string, seed: number): DrawnImage {
  const next = pseudoRandom(seed + 90_000);
  const recipe: string[] = [];
  const run = (program: string, argv: readonly string[], input?: string) => {
    recipe.push([program, ...argv].join(' ') + (input ? ` <<.\n${input}.` : ''));
    execFileSync(program, argv, { cwd: folder, input, stdio: ['pipe', 'pipe', 'pipe'] });
  };
  const fill = (file: string, format: string, bytes: number, clusterBits: number, compressed: boolean) =>
    run(
      'qemu-io',
      ['-t', 'unsafe', '-f', format, file],
      `${drawContent(next, bytes, clusterBits, compressed).join('\n')}\n`,
    );

  const backing: string[] = [];
  const below = next(5);
  if (below === 1) {
    // A raw file of any length; its last sector may be short.
    const bytes = (1024 + next(3000)) * SECTOR;
    run('qemu-img', ['create', '-q', '-f', 'raw', `${name}-base.raw`, String(bytes)]);
    fill(`${name}-base.raw`, 'raw', bytes, 0, false);
    if (next(2) === 0) run('truncate', ['-s', `+${next(SECTOR)}`, `${name}-base.raw`]);
    backing.push('-b', `${name}-base.raw`, '-F', 'raw');
  } else if (below > 2) {
    const options = drawOptions(next);
    const bytes = drawBytes(next, Math.min(options.clusterBits, 18));
    run('qemu-img', ['create', '-q', '-f', 'qcow2', '-o', options.text, `${name}-base.qcow2`, String(bytes)]);
    fill(`${name}-base.qcow2`, 'qcow2', bytes, options.clusterBits, true);
    backing.push('-b', `${name}-base.qcow2`, '-F', 'qcow2');
  }
  const options = drawOptions(next);
  const bytes = drawBytes(next, options.clusterBits);
  const preallocated = backing.length === 0 && next(5) === 0;
  const text = preallocated
    ? `${options.text},preallocation=${['metadata', 'falloc'][next(2)]}`
    : options.text;
  const file = `${name}.qcow2`;
  run('qemu-img', ['create', '-q', '-f', 'qcow2', '-o', text, ...backing, file, String(bytes)]);
  fill(file, 'qcow2', bytes, options.clusterBits, !preallocated);
  if (options.snapshots) {
    run('qemu-img', ['snapshot', '-c', 'one', file]);
    fill(file, 'qcow2', bytes, options.clusterBits, false);
  }
  return { file, bytes, backed: backing.length > 0, recipe };
}
