import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { sumOf } from './qcow2-sum.ts';

/** An image that was made, and what its disk holds. */
export interface MadeImage {
  name: string;
  /** File of the top, in the folder of all images. */
  file: string;
  /** Its external data file, beside it. */
  dataFile?: string | undefined;
  bytes: number;
  /** Of the whole disk, as qemu-img reads it. */
  sum: string;
}

/** How to make one. Commands run in the images' folder; IMAGE stands for the file's name. */
interface Recipe {
  name: string;
  /** Options of qemu-img create; none: `steps` make the image. */
  options?: string;
  mebibytes?: number;
  /** Without a backing file: `qemu-img create` gets this behind the image's name. */
  backing?: string;
  /** Which writes: those of a chain differ, so that each image is seen. */
  seed?: number;
  /** Commands of qemu-io after the writes. */
  io?: readonly string[];
  steps?: readonly string[];
}

const SIZE_MIB = 6;

const clusters = ['512', '4k', '64k', '2M'].map((size) => ({
  name: `cluster-${size}`,
  options: `cluster_size=${size}`,
}));

const compressed = [
  ['zlib', '512'],
  ['zlib', '64k'],
  ['zlib', '2M'],
  ['zstd', '4k'],
  ['zstd', '64k'],
  ['zstd', '2M'],
].map(([type, size]) => ({
  name: `${type}-${size}`,
  steps: [
    `qemu-img convert -c -f raw -O qcow2 -o compression_type=${type},cluster_size=${size} pattern.raw IMAGE`,
    // Among compressed clusters, some that are not.
    'qemu-io -c "write -P 0x5a 1000448 70144" IMAGE',
  ],
}));

const recipes: readonly Recipe[] = [
  ...clusters,
  ...compressed,
  { name: 'version-2', options: 'compat=0.10' },
  { name: 'refcount-1', options: 'refcount_bits=1' },
  { name: 'refcount-64', options: 'refcount_bits=64,cluster_size=4k' },
  // Its refcount table has to grow.
  { name: 'growing', options: 'refcount_bits=64,cluster_size=512', seed: 0 },
  { name: 'lazy', options: 'lazy_refcounts=on' },
  { name: 'preallocated', options: 'preallocation=metadata' },
  { name: 'fallocated', options: 'preallocation=falloc,cluster_size=32k' },
  { name: 'odd-size', options: 'cluster_size=64k', steps: ['qemu-img resize -q IMAGE 6292992'] },
  { name: 'subclusters-16k', options: 'extended_l2=on,cluster_size=16k' },
  { name: 'subclusters-128k', options: 'extended_l2=on,cluster_size=128k' },
  { name: 'subclusters-2M', options: 'extended_l2=on,cluster_size=2M' },
  {
    name: 'subclusters-zlib',
    options: 'extended_l2=on,cluster_size=64k',
    seed: 0,
    io: [
      'write -c -P 0x31 1M 64k',
      'write -P 0x32 1114112 2048',
      'write -c -P 0x33 2M 64k',
      'write -P 0x34 2100k 512',
    ],
  },
  {
    name: 'zeros',
    options: 'cluster_size=16k',
    io: ['write -z 1M 300k', 'write -z -u 2M 300k', 'discard 3M 300k', 'write -P 7 1100k 3k'],
  },
  {
    name: 'snapshots',
    options: 'cluster_size=4k',
    steps: [
      'qemu-img snapshot -c one IMAGE',
      'qemu-io -c "write -P 0x41 0 777k" -c "write -z 2M 100k" IMAGE',
      'qemu-img snapshot -c two IMAGE',
      'qemu-io -c "write -P 0x42 300k 1M" IMAGE',
    ],
  },
  { name: 'bitmaps', options: 'cluster_size=64k', steps: ['qemu-img bitmap --add IMAGE dirty'] },
  { name: 'data-file', options: 'data_file=data-file.data' },
  { name: 'data-file-raw', options: 'data_file=data-file-raw.data,data_file_raw=on,cluster_size=4k' },
  { name: 'data-file-subclusters', options: 'data_file=data-sub.data,extended_l2=on,cluster_size=16k' },
  { name: 'over-raw', options: 'cluster_size=64k', backing: '-b pattern.raw -F raw', seed: 2 },
  { name: 'over-odd-raw', options: 'cluster_size=4k', backing: '-b odd.raw -F raw', seed: 3 },
  {
    name: 'over-longer',
    options: 'cluster_size=4k',
    backing: '-b cluster-64k.qcow2 -F qcow2',
    mebibytes: 4,
    seed: 4,
  },
  {
    name: 'over-shorter',
    options: 'cluster_size=2M',
    backing: '-b over-longer.qcow2 -F qcow2',
    mebibytes: 9,
    seed: 5,
    io: ['write -z 5M 1M'],
  },
  {
    name: 'over-512',
    options: 'cluster_size=512',
    backing: '-b over-shorter.qcow2 -F qcow2',
    mebibytes: 8,
    seed: 6,
  },
  {
    name: 'one-mebibyte',
    options: 'cluster_size=64k',
    backing: '-b zstd-64k.qcow2 -F qcow2',
    mebibytes: 1,
    seed: 9,
  },
  // What the lowest has behind the end of the middle one is not to be seen.
  {
    name: 'over-one-mebibyte',
    options: 'cluster_size=64k',
    backing: '-b one-mebibyte.qcow2 -F qcow2',
    seed: 10,
  },
  { name: 'over-packed', options: 'cluster_size=64k', backing: '-b zstd-64k.qcow2 -F qcow2', seed: 7 },
  {
    name: 'subclusters-over-packed',
    options: 'extended_l2=on,cluster_size=128k',
    backing: '-b over-packed.qcow2 -F qcow2',
    mebibytes: 8,
    seed: 8,
    io: ['write -z 1M 12k', 'discard 2M 128k'],
  },
  { name: 'over-data-file', options: 'cluster_size=16k', backing: '-b data-file.qcow2 -F qcow2', seed: 9 },
  { name: 'empty', options: 'cluster_size=64k', mebibytes: 64, seed: 0 },
];

/** Numbers that look random and are the same in each run. */
export function pseudoRandom(seed: number): (below: number) => number {
  let state = (seed * 2654435761 + 12345) >>> 0;
  return (below) => {
    state ^= state << 13;
    state >>>= 0;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state % below;
  };
}

/** A disk with zeros, text that shrinks, and noise that does not. */
function pattern(bytes: number): Buffer {
  const data = Buffer.alloc(bytes);
  const next = pseudoRandom(1);
  for (let at = 0; at < bytes; ) {
    const length = Math.min(bytes - at, 512 * (1 + next(200)));
    const kind = next(3);
    if (kind === 1) data.fill(`line ${next(1000)} of ${at}\n`, at, at + length);
    if (kind === 2) for (let i = at; i < at + length; i++) data[i] = next(256);
    at += length;
  }
  return data;
}

/** Writes of odd and even places and lengths, all in whole sectors. */
function writesOf(seed: number, bytes: number): string[] {
  const next = pseudoRandom(seed + 100);
  return Array.from({ length: seed === 0 ? 0 : 40 }, () => {
    const sectors = 1 + (next(4) === 0 ? next(600) : next(20));
    const at = next(bytes / 512 - sectors) * 512;
    return `write -P ${1 + next(255)} ${at} ${sectors * 512}`;
  });
}

const dataFileOf = (recipe: Recipe | undefined) => /data_file=([^,]+)/.exec(recipe?.options ?? '')?.[1];

function make(folder: string, recipe: Recipe): MadeImage {
  const file = `${recipe.name}.qcow2`;
  const run = (command: string) =>
    execFileSync('sh', ['-c', command.replaceAll('IMAGE', file)], { cwd: folder, stdio: 'pipe' });
  const bytes = (recipe.mebibytes ?? SIZE_MIB) * 1024 * 1024;
  if (recipe.options !== undefined) {
    run(`qemu-img create -q -f qcow2 -o ${recipe.options} ${recipe.backing ?? ''} IMAGE ${bytes}`);
    const commands = [...writesOf(recipe.seed ?? 1, bytes), ...(recipe.io ?? [])];
    execFileSync('qemu-io', ['-t', 'unsafe', '-f', 'qcow2', file], {
      cwd: folder,
      input: `${commands.join('\n')}\n`,
      stdio: 'pipe',
    });
  }
  for (const step of recipe.steps ?? []) run(step);
  run('qemu-img convert -f qcow2 -O raw IMAGE expected.raw');
  const expected = readFileSync(join(folder, 'expected.raw'));
  rmSync(join(folder, 'expected.raw'));
  return {
    name: recipe.name,
    file,
    dataFile: dataFileOf(recipe),
    bytes: expected.length,
    sum: sumOf(expected),
  };
}

/**
 * Makes images over the options that qemu-img has, with chains and all they need, in a folder.
 * @param names only these, and what they need; default: all
 * @returns those to be read, in the order in which they were made; their backing and data files lie beside them
 */
export function makeImages(folder: string, names?: readonly string[]): MadeImage[] {
  writeFileSync(join(folder, 'pattern.raw'), pattern(SIZE_MIB * 1024 * 1024));
  writeFileSync(join(folder, 'odd.raw'), pattern(2_000_123));
  const wanted = new Set(names ?? recipes.map(({ name }) => name));
  for (const recipe of [...recipes].reverse()) {
    const below = recipes.find(({ name }) => recipe.backing?.includes(` ${name}.qcow2 `));
    if (below && wanted.has(recipe.name)) wanted.add(below.name);
  }
  return recipes.filter(({ name }) => wanted.has(name)).map((recipe) => make(folder, recipe));
}

/** The files of an image's chain as FORMAT:PATH, the top first and then its data file, for programs. */
export function chainOf(folder: string, name: string): string[] {
  const recipe = recipes.find((one) => one.name === name);
  const data = dataFileOf(recipe);
  const below = /^-b (\S+)\.(\w+) /.exec(recipe?.backing ?? '');
  const rest = below?.[2] === 'qcow2' ? chainOf(folder, below[1]!) : [];
  return [
    `qcow2:${join(folder, `${name}.qcow2`)}`,
    ...(data === undefined ? [] : [`data:${join(folder, data)}`]),
    ...(below?.[2] === 'raw' ? [`raw:${join(folder, `${below[1]}.raw`)}`] : rest),
  ];
}

/**
 * An ext4 file system with a folder's content, for the guest as a disk.
 * @param free bytes to be left for the guest
 */
export function ext4Disk(folder: string, file: string, free: number): void {
  const used = Number(execFileSync('du', ['-s', '-B1', folder], { encoding: 'utf8' }).split('\t')[0]);
  writeFileSync(file, '');
  truncateSync(file, Math.ceil((used * 1.1 + free) / 4096 + 4096) * 4096);
  const path = `${process.env.PATH ?? ''}:/usr/sbin:/sbin`;
  execFileSync('mke2fs', ['-q', '-F', '-t', 'ext4', '-b', '4096', '-d', folder, file], {
    env: { ...process.env, PATH: path },
  });
  if (statSync(file).size === 0) throw new Error('mke2fs made nothing');
}

/** Copies the root folder of an ext4 file system's image out of it, to a folder that is made. */
export function extractDisk(file: string, folder: string): void {
  mkdirSync(folder);
  const path = `${process.env.PATH ?? ''}:/usr/sbin:/sbin`;
  execFileSync('debugfs', ['-R', `rdump / ${folder}`, file], {
    env: { ...process.env, PATH: path },
    stdio: 'pipe',
  });
}
