import { closeSync, openSync, readSync, writeSync } from 'node:fs';

const SECTOR = 512;
/** Of the superblock and of entries: linux/drivers/md/dm-log-writes.c, Documentation/admin-guide/device-mapper/log-writes.rst. */
const MAGIC = 0x6a736677736872n;
const FLUSH = 1n;
const FUA = 2n;
const DISCARD = 4n;
const MARK = 8n;

/** One write, flush or mark; they stand in the order in which they were done. */
export interface LogEntry {
  flush: boolean;
  fua: boolean;
  /** Where on the disk, and how much, in bytes. */
  at: number;
  bytes: number;
  mark: string | undefined;
  /** Where the data is in the log. */
  data: number;
}

/** What dm-log-writes noted. */
export class WriteLog {
  readonly entries: LogEntry[] = [];
  private readonly file: number;

  /** @throws Error when the disk holds no log */
  constructor(path: string) {
    this.file = openSync(path, 'r');
    const head = this.read(0, SECTOR);
    if (head.readBigUInt64LE(0) !== MAGIC) throw new Error(`${path} is no log of dm-log-writes`);
    const entries = Number(head.readBigUInt64LE(16));
    const sector = head.readUInt32LE(24);
    let at = sector;
    for (let i = 0; i < entries; i++) {
      const entry = this.read(at, sector);
      const flags = entry.readBigUInt64LE(16);
      const length = Number(entry.readBigUInt64LE(24));
      const bytes = (flags & (DISCARD | MARK)) === 0n ? Number(entry.readBigUInt64LE(8)) * sector : 0;
      this.entries.push({
        flush: (flags & FLUSH) !== 0n,
        fua: (flags & FUA) !== 0n,
        at: Number(entry.readBigUInt64LE(0)) * sector,
        bytes,
        mark:
          (flags & MARK) === 0n ? undefined : entry.toString('latin1', 32, 32 + length).replace(/\0+$/, ''),
        data: at + sector,
      });
      at += sector + bytes;
    }
  }

  close(): void {
    closeSync(this.file);
  }

  /** Writes what an entry wrote to a disk, a file that is open. */
  apply({ at, bytes, data }: LogEntry, disk: number): void {
    if (bytes > 0) writeSync(disk, this.read(data, bytes), 0, bytes, at);
  }

  private read(at: number, bytes: number): Buffer {
    const buffer = Buffer.alloc(bytes);
    if (readSync(this.file, buffer, 0, bytes, at) !== bytes) throw new Error('the log ends within an entry');
    return buffer;
  }
}

/** The disk as it was before an entry of the log; forwards only. */
export class ReplayedDisk {
  private done = 0;
  private readonly file: number;

  constructor(
    private readonly log: WriteLog,
    path: string,
  ) {
    this.file = openSync(path, 'r+');
  }

  /**
   * Goes on to the last flush before some entry: all before that is on the disk for good.
   * @returns entries behind it, before that one, which may be lost: each but those with FUA
   */
  settle(before: number): LogEntry[] {
    const { entries } = this.log;
    let flush = before - 1;
    while (flush > this.done && !entries[flush]!.flush) flush--;
    while (this.done < flush) this.log.apply(entries[this.done++]!, this.file);
    return entries.slice(this.done, before);
  }

  close(): void {
    closeSync(this.file);
  }
}
