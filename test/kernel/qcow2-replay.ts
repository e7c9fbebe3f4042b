import { execFile } from 'node:child_process';
import { closeSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Semaphore } from '../../src/lib/semaphore.ts';
import { pseudoRandom } from './qcow2-images.ts';
import { DiskModel, drawRounds, isZero, listOf, type Operation, sourceBytes } from './qcow2-operations.ts';
import { contentOf } from './qcow2-twin.ts';
import { type LogEntry, ReplayedDisk, type WriteLog } from './write-log.ts';

const execute = promisify(execFile);
const SECTOR = 512;

/** What is done on an image, each round ended by a flush and a mark NAME:ROUND; NAME:0 stands before the first. */
export interface LoggedImage {
  name: string;
  rounds: Operation[][][];
}

/** Plans rounds on an image of a folder, and writes NAME.list for qcow2-apply. */
export function planLogged(
  folder: string,
  { name, bytes }: { name: string; bytes: number },
  seed: number,
  extent: { rounds: number; operations: number },
): LoggedImage {
  const rounds = drawRounds(pseudoRandom(seed), bytes, extent);
  const list = rounds.map((batches, round) => `${listOf(batches)}flush\nmark ${name}:${round + 1}\n`);
  writeFileSync(join(folder, `${name}.list`), `mark ${name}:0\n${list.join('')}`);
  return { name, rounds };
}

/** A loss of power: how much of the log had been written, and which of the writes that no flush followed got through. */
interface Crash {
  /** Index of the first entry that was not. */
  before: number;
  /** Undefined: all of them did. */
  seed: number | undefined;
}

/**
 * Chooses when power is lost: at every flush if there are not more than half of them, else at as many of those, and at
 * random writes, of half of which some got lost.
 */
function chooseCrashes(entries: readonly LogEntry[], first: number, count: number, seed: number): Crash[] {
  const next = pseudoRandom(seed);
  const places = Array.from({ length: entries.length - first }, (_, i) => first + i);
  const flushes = places.filter((i) => entries[i]!.flush);
  const half = Math.floor(count / 2);
  const step = Math.max(1, flushes.length / half);
  const chosen: Crash[] = [];
  for (let i = 0; i < flushes.length && chosen.length < half; i += step)
    chosen.push({ before: flushes[Math.floor(i)]! + 1, seed: undefined });
  while (chosen.length < count)
    chosen.push({
      before: places[next(places.length)]! + 1,
      seed: next(2) === 0 ? undefined : next(2 ** 31),
    });
  return chosen.sort((a, b) => a.before - b.before);
}

/** What came of a replay. */
export interface Replayed {
  points: number;
  flushes: number;
  entries: number;
  problems: string[];
}

/**
 * Loses power many times while images were written: each time the file system is brought back by its journal, the image that
 * was being written has to be clean or leaking, and to hold what was flushed.
 * @param folder where the images are as they were before; work files are made there
 * @param disk the file system as it was before, which is changed
 */
export async function replayLog(
  log: WriteLog,
  images: readonly LoggedImage[],
  folder: string,
  disk: string,
  { points, places, seed }: { points: number; places: number; seed: number },
): Promise<Replayed> {
  const { entries } = log;
  const first = entries.findIndex(({ mark }) => mark !== undefined);
  const crashes = chooseCrashes(entries, first, points, seed);
  const replayed = new ReplayedDisk(log, disk);
  const states = new Map<string, RoundStates>();
  const room = new Semaphore(places);
  const running: Promise<string[]>[] = [];
  for (const [index, crash] of crashes.entries()) {
    const [, name, round] = /^(.*):(\d+)$/.exec(lastMark(entries, crash.before))!;
    let state = states.get(name!);
    if (!state) {
      states.clear();
      state = new RoundStates(
        images.find((image) => image.name === name)!,
        await contentOf(join(folder, `${name}.qcow2`)),
      );
      states.set(name!, state);
    }
    const expected = state.after(Number(round));
    const pending = replayed.settle(crash.before);
    const copy = join(folder, `crash-${index}.ext4`);
    // Not more copies than are looked at.
    await new Promise<void>((begun) => {
      running.push(
        room.use(async () => {
          await execute('cp', ['--sparse=always', disk, copy]);
          dropSome(log, pending, copy, crash.seed);
          begun();
          const wrong = await lookAt(folder, copy, name!, `crash-${index}`, expected);
          return wrong.map((text) => `${name}, entry ${crash.before} of the log, round ${round}: ${text}`);
        }),
      );
      running.at(-1)!.catch(() => begun());
    });
  }
  const problems = (await Promise.all(running)).flat();
  replayed.close();
  return {
    points: crashes.length,
    flushes: crashes.filter(({ before }) => entries[before - 1]!.flush).length,
    entries: entries.length - first,
    problems,
  };
}

function lastMark(entries: readonly LogEntry[], before: number): string {
  for (let i = before - 1; ; i--) if (entries[i]!.mark !== undefined) return entries[i]!.mark!;
}

function dropSome(log: WriteLog, pending: readonly LogEntry[], disk: string, seed: number | undefined): void {
  const next = seed === undefined ? () => 0 : pseudoRandom(seed);
  const file = openSync(disk, 'r+');
  for (const entry of pending) if (entry.fua || next(2) === 0) log.apply(entry, file);
  closeSync(file);
}

/** What a disk has to hold after the flush of each round, forwards only. */
class RoundStates {
  private readonly model: DiskModel;
  private round = 0;

  constructor(
    private readonly image: LoggedImage,
    before: Buffer,
  ) {
    this.model = new DiskModel(before);
  }

  /** A test of a disk's content while the round behind the @round-th went on. */
  after(round: number): (disk: Buffer) => number | undefined {
    while (this.round < round)
      for (const operation of this.image.rounds[this.round++]!.flat()) this.model.apply(operation);
    const later = (this.image.rounds[round] ?? []).flat();
    const flushed = this.model.copy();
    return (disk) => flushed.firstWrong(disk, (sector) => canBe(disk, sector, later));
  }
}

/** A test of a disk's content when some operations were done and flushed, and others perhaps. */
export function stateAfter(
  before: Buffer,
  done: readonly Operation[],
  perhaps: readonly Operation[],
): (disk: Buffer) => number | undefined {
  const model = new DiskModel(before);
  for (const operation of done) model.apply(operation);
  return (disk) => model.firstWrong(disk, (sector) => canBe(disk, sector, perhaps));
}

/** Whether one of some operations, all or part of which were done, can have left a sector as it is. */
function canBe(disk: Buffer, sector: number, operations: readonly Operation[]): boolean {
  const at = sector * SECTOR;
  return operations.some((operation) => {
    if (at < operation.at || at >= operation.at + operation.bytes) return false;
    if (operation.kind !== 'write') return isZero(disk, at);
    const from = at - operation.at;
    return disk.compare(sourceBytes(operation.source), from, from + SECTOR, at, at + SECTOR) === 0;
  });
}

/**
 * Brings a file system back by its journal, takes an image out of it and looks at that.
 * @param firstWrong tells the first sector that can not be so
 * @returns what is wrong
 */
export async function lookAt(
  folder: string,
  disk: string,
  name: string,
  as: string,
  firstWrong: (disk: Buffer) => number | undefined,
): Promise<string[]> {
  const env = { ...process.env, PATH: `${process.env.PATH ?? ''}:/usr/sbin:/sbin` };
  const image = join(folder, `${as}.qcow2`);
  const failure = (error: { code: number; stdout: string; stderr: string }) => error;
  // 1: it corrected something, as journals do.
  const mended = await execute('e2fsck', ['-p', disk], { env }).catch(failure);
  const problems =
    'code' in mended && mended.code > 1 ? [`e2fsck: ${mended.code} ${mended.stdout}${mended.stderr}`] : [];
  await execute('debugfs', ['-R', `dump /${name}.qcow2 ${image}`, disk], { env });
  rmSync(disk);
  const check = await execute('qemu-img', ['check', '-f', 'qcow2', image]).catch(failure);
  if ('code' in check && check.code !== 3)
    problems.push(`qemu-img check: ${check.code} ${check.stdout}${check.stderr}`.slice(0, 2000));
  const sector = firstWrong(await contentOf(image));
  if (sector !== undefined) problems.push(`sector ${sector} is not what was flushed, nor what came after it`);
  rmSync(image);
  return problems;
}
