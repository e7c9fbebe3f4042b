import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pseudoRandom } from './qcow2-images.ts';

type Draw = (below: number) => number;

/** What is done on a disk, in whole sectors; numbers are bytes. */
export type Operation =
  | { kind: 'write'; at: number; bytes: number; source: number; fua: boolean }
  | { kind: 'zero'; at: number; bytes: number; unmap: boolean }
  | { kind: 'discard'; at: number; bytes: number };

const SECTOR = 512;
const SOURCES = 8;
/** As in kmod/dm_qcow2/exercise/apply.c. */
const SOURCE_BYTES = 1 << 19;
const MAX_SECTORS = 700;

let noise: Buffer[] | undefined;

/** What writes take their data from: noise that differs from source to source. */
function sourceData(): Buffer[] {
  noise ??= Array.from({ length: SOURCES }, (_, index) => {
    const next = pseudoRandom(7000 + index);
    const words = Uint32Array.from({ length: SOURCE_BYTES / 4 }, () => next(2 ** 32));
    return Buffer.from(words.buffer);
  });
  return noise;
}

/** What of a source a write takes, from its begin on. */
export const sourceBytes = (source: number): Buffer => sourceData()[source]!;

/** Writes the sources as files 0 to 7 of a folder that is made. */
export function writeSources(folder: string): void {
  mkdirSync(folder);
  for (const [index, data] of sourceData().entries()) writeFileSync(join(folder, String(index)), data);
}

/** An operation somewhere on a disk. */
function drawOperation(next: Draw, bytes: number): Operation {
  const sectors = Math.min(1 + next(next(4) === 0 ? MAX_SECTORS : 24), bytes / SECTOR);
  const range = { at: next(bytes / SECTOR - sectors + 1) * SECTOR, bytes: sectors * SECTOR };
  const kind = next(100);
  if (kind < 65) return { kind: 'write', ...range, source: next(SOURCES), fua: next(12) === 0 };
  if (kind < 85) return { kind: 'zero', ...range, unmap: next(2) === 0 };
  return { kind: 'discard', ...range };
}

/**
 * Operations as batches: those of a batch touch no sector of each other, so that they may be done at once and leave what
 * they leave one by one.
 */
function drawBatches(next: Draw, bytes: number, operations: number): Operation[][] {
  const batches: Operation[][] = [[]];
  for (let i = 0; i < operations; i++) {
    const drawn = drawOperation(next, bytes);
    if (
      batches.at(-1)!.some((other) => drawn.at < other.at + other.bytes && other.at < drawn.at + drawn.bytes)
    )
      batches.push([]);
    batches.at(-1)!.push(drawn);
  }
  return batches;
}

/** Rounds of batches; what one has discarded, the next writes first. */
export function drawRounds(
  next: Draw,
  bytes: number,
  { rounds, operations }: { rounds: number; operations: number },
): Operation[][][] {
  const model = new DiskModel(Buffer.alloc(bytes));
  return Array.from({ length: rounds }, () => {
    const batches = [model.settle(next), ...drawBatches(next, bytes, operations)];
    for (const operation of batches.flat()) model.apply(operation);
    return batches;
  });
}

/** Lines of a list for qcow2-apply. */
export function listOf(batches: readonly (readonly Operation[])[]): string {
  return batches.map((batch) => batch.map(lineOf).join('')).join('then\n');
}

function lineOf(operation: Operation): string {
  const range = `${operation.at} ${operation.bytes}`;
  if (operation.kind === 'write') return `write ${range} ${operation.source}${operation.fua ? ' fua' : ''}\n`;
  if (operation.kind === 'zero') return `zero ${range}${operation.unmap ? ' unmap' : ''}\n`;
  return `discard ${range}\n`;
}

/**
 * The same as commands of qemu-io.
 * @param sources folder that writeSources() made
 */
export function qemuIoOf(operation: Operation, sources: string): string {
  const range = `${operation.at} ${operation.bytes}`;
  if (operation.kind === 'write')
    return `write -q ${operation.fua ? '-f ' : ''}-s ${join(sources, String(operation.source))} ${range}`;
  if (operation.kind === 'zero') return `write -q -z ${operation.unmap ? '-u ' : ''}${range}`;
  return `discard -q ${range}`;
}

/** What a disk has to hold. What was discarded may be as it was or zeros, sector by sector, until it is written. */
export class DiskModel {
  private readonly isDiscarded: Uint8Array;

  constructor(readonly data: Buffer) {
    this.isDiscarded = new Uint8Array(data.length / SECTOR);
  }

  copy(): DiskModel {
    const copy = new DiskModel(Buffer.from(this.data));
    copy.isDiscarded.set(this.isDiscarded);
    return copy;
  }

  apply(operation: Operation): void {
    const { at, bytes } = operation;
    this.isDiscarded.fill(operation.kind === 'discard' ? 1 : 0, at / SECTOR, (at + bytes) / SECTOR);
    if (operation.kind === 'write') sourceData()[operation.source]!.copy(this.data, at, 0, bytes);
    if (operation.kind === 'zero') this.data.fill(0, at, at + bytes);
  }

  /** Operations by which all that was discarded is known again. */
  settle(next: Draw): Operation[] {
    const operations: Operation[] = [];
    for (let first = this.isDiscarded.indexOf(1); first >= 0; first = this.isDiscarded.indexOf(1, first)) {
      let end = first;
      while (this.isDiscarded[end] === 1 && end - first < MAX_SECTORS) end++;
      const range = { at: first * SECTOR, bytes: (end - first) * SECTOR };
      operations.push(
        next(2) === 0
          ? { kind: 'zero', ...range, unmap: next(2) === 0 }
          : { kind: 'write', ...range, source: next(SOURCES), fua: false },
      );
      first = end;
    }
    return operations;
  }

  /**
   * The first sector of a disk that can not be so.
   * @param may tells of what else may be
   */
  firstWrong(disk: Buffer, may: (sector: number) => boolean = () => false): number | undefined {
    if (disk.length !== this.data.length) return 0;
    for (let sector = 0; sector < this.isDiscarded.length; sector++) {
      const at = sector * SECTOR;
      if (disk.compare(this.data, at, at + SECTOR, at, at + SECTOR) === 0) continue;
      if ((this.isDiscarded[sector] === 1 && isZero(disk, at)) || may(sector)) continue;
      return sector;
    }
    return undefined;
  }
}

const zeros = Buffer.alloc(SECTOR);

/** Whether a sector is zeros. */
export function isZero(disk: Buffer, at: number): boolean {
  return disk.compare(zeros, 0, SECTOR, at, at + SECTOR) === 0;
}
