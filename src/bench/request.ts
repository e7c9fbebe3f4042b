import type { BenchRw } from '../events/bench.ts';
import { FleetError } from '../lib/errors.ts';

/** What drives the ways of a guest: `auto` is a guest where KVM works, else the client. */
export type GuestMode = 'auto' | 'no' | 'tcg';

/** What is to be measured, checked. */
export interface BenchRequest {
  /** `ramdisk`, or the absolute path of a block device */
  disk: string;
  rw: readonly BenchRw[];
  /** requests in flight on each queue */
  iodepth: number;
  /** virtual CPUs, each with a queue; null: those of 1, 2, 4, 8 that the host has */
  vcpus: readonly number[] | null;
  /** of a measurement */
  runtimeSeconds: number;
  rounds: number;
  guest: GuestMode;
}

/** The flags as they were given. */
export interface BenchFlags {
  disk?: string | undefined;
  rw?: string | undefined;
  iodepth?: string | undefined;
  vcpus?: string | undefined;
  runtime?: string | undefined;
  rounds?: string | undefined;
  guest?: string | undefined;
}

export const RAMDISK = 'ramdisk';
/** What vhost-blk-bench can keep in flight on a queue, and virtqueues of a vhost_blk device. */
const MAX_DEPTH = 256;
const MAX_VCPUS = 64;
const MAX_COUNTS = 8;
const defaultVcpus = [1, 2, 4, 8];

/** Checks the flags. @throws FleetError E_USAGE */
export function benchRequest(flags: BenchFlags): BenchRequest {
  const { disk = RAMDISK } = flags;
  // A device's name goes into option lists of fio and QEMU, where a comma or colon would begin something else.
  if (disk !== RAMDISK && (!/^\/dev\/[A-Za-z0-9._+:@/-]{1,200}$/.test(disk) || disk.includes('/..')))
    throw usage(`--disk ${disk}: expected ramdisk, or a block device such as /dev/nvme1n1`);
  return {
    disk,
    rw: list('--rw', flags.rw ?? 'randread,randwrite', (word) => {
      if (word !== 'randread' && word !== 'randwrite')
        throw usage(`--rw ${word}: expected randread or randwrite`);
      return word;
    }),
    iodepth: whole('--iodepth', flags.iodepth ?? '128', 1, MAX_DEPTH),
    vcpus:
      flags.vcpus === undefined
        ? null
        : list('--vcpus', flags.vcpus, (word) => whole('--vcpus', word, 1, MAX_VCPUS)),
    runtimeSeconds: whole('--runtime', flags.runtime ?? '5', 1, 600),
    rounds: whole('--rounds', flags.rounds ?? '3', 1, 32),
    guest: guestMode(flags.guest ?? 'auto'),
  };
}

/** The numbers of virtual CPUs to measure on a host: what was asked for, else those that it has CPUs for. */
export function vcpuCounts(request: BenchRequest, hostCpus: number): readonly number[] {
  return request.vcpus ?? defaultVcpus.filter((count) => count === 1 || count <= hostCpus);
}

function guestMode(word: string): GuestMode {
  if (word !== 'auto' && word !== 'no' && word !== 'tcg')
    throw usage(`--guest ${word}: expected auto, no or tcg`);
  return word;
}

function list<T>(flag: string, text: string, read: (word: string) => T): T[] {
  const values = [...new Set(text.split(',').map((word) => read(word.trim())))];
  if (values.length > MAX_COUNTS) throw usage(`${flag}: more than ${MAX_COUNTS} values`);
  return values;
}

function whole(flag: string, word: string, min: number, max: number): number {
  const value = /^\d{1,4}$/.test(word) ? Number(word) : Number.NaN;
  if (!(value >= min && value <= max))
    throw usage(`${flag} ${word}: expected a whole number from ${min} to ${max}`);
  return value;
}

function usage(message: string): FleetError {
  return new FleetError({ code: 'E_USAGE', message });
}
