import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type BootRequest, type BootResult, bootKernel } from '../boot.ts';
import type { BuiltSource } from '../build.ts';
import type { KernelImage } from '../image.ts';
import { qcow2Files, qcow2Modules, qcow2Script } from '../qcow2-guest.ts';
import { ext4Disk } from '../qcow2-images.ts';
import type { Clock } from './guest.ts';

/** What is done to a disk: the options of fio for it, and whether the image has its clusters already. */
export interface Work {
  text: string;
  fio: string;
  fresh: boolean;
}

/** A way to a disk: a command that attaches it, one that detaches it, and the device between. */
interface Way {
  name: string;
  device: string;
  /** Of a qcow2 image, or of a raw file of the same size. */
  format: 'qcow2' | 'raw';
  attach: string;
  detach: string;
}

/** A run of fio. */
export interface Qcow2Measurement {
  way: string;
  work: string;
  depth: number;
  iops: number[];
}

/** What came of one guest. */
export interface Qcow2Result {
  release: string;
  clock: Clock;
  measurements: Qcow2Measurement[];
  boot: BootResult;
}

const MIB = 1024 * 1024;
/** Size of the disk that has its clusters, and of the one that has none. */
const [ALLOCATED_MIB, FRESH_MIB] = [64, 256];
const BOOT_MS = 60 * 60_000;
const MARK = '@@fio';

export const works: readonly Work[] = [
  { text: '4 KiB random read', fio: '--rw=randread --bs=4k', fresh: false },
  { text: '4 KiB random write', fio: '--rw=randwrite --bs=4k', fresh: false },
  { text: '1 MiB sequential read', fio: '--rw=read --bs=1m', fresh: false },
  { text: '1 MiB sequential write', fio: '--rw=write --bs=1m', fresh: false },
  // Each into a cluster of 64 KiB of its own.
  { text: '4 KiB fresh write', fio: '--rw=write:60k --bs=4k', fresh: true },
  { text: '1 MiB fresh write', fio: '--rw=write --bs=1m', fresh: true },
];

const nbd = (name: string, options: string): Way => ({
  ...{ name, device: '/dev/nbd0', format: 'qcow2' },
  attach: `/usr/bin/qemu-nbd ${options} --discard=unmap -f qcow2 -c /dev/nbd0 $1 && until [ -e /sys/block/nbd0/pid ] && [ "$(cat /sys/block/nbd0/size)" != 0 ]; do sleep 0.1; done`,
  // A server removes its socket as it ends, be it by then that of the next.
  detach:
    '/usr/bin/qemu-nbd -d /dev/nbd0 >/dev/null; while [ -e /sys/block/nbd0/pid ] || [ -e /var/lock/qemu-nbd-nbd0 ]; do sleep 0.1; done',
});

const loop = (name: string, direct: 'on' | 'off'): Way => ({
  ...{ name, device: '/dev/loop0', format: 'raw' },
  attach: `/sbin/losetup --direct-io=${direct} /dev/loop0 $1`,
  detach: '/sbin/losetup -d /dev/loop0',
});

/** The first is what the others are compared with. */
export const ways: readonly Way[] = [
  {
    ...{ name: 'dm-qcow2', device: '/dev/mapper/bench', format: 'qcow2' },
    attach: 'blkfleet-qcow2 attach $1 --name bench >/dev/null',
    detach: 'blkfleet-qcow2 detach bench',
  },
  nbd('qemu-nbd native', '--cache=none --aio=native'),
  nbd('qemu-nbd io_uring', '--cache=none --aio=io_uring'),
  nbd('qemu-nbd threads', '--cache=writeback --aio=threads'),
  loop('loop', 'on'),
  loop('loop, cached', 'off'),
  { name: 'file', device: '$1', format: 'raw', attach: 'true', detach: 'true' },
];

const programs = ['/usr/bin/fio', '/usr/bin/qemu-nbd', '/sbin/losetup'];
/** Programs that the guest needs, and the Debian packages that have them. */
export const qcow2Programs = { packages: ['fio', 'qemu-utils', 'mount'], programs };

/** How long, and how often. */
export interface Qcow2Plan {
  works: readonly Work[];
  depths: readonly number[];
  rounds: number;
  seconds: number;
  ways: readonly Way[];
}

/**
 * Boots a kernel and measures in it, the ways taking turns: images lie on ext4 on a RAM disk, so that only what each way
 * costs counts.
 * @param tools files of the programs, see qcow2Programs
 */
export async function runQcow2Bench(
  { image, built }: { image: KernelImage; built: BuiltSource },
  clock: Clock,
  plan: Qcow2Plan,
  tools: NonNullable<BootRequest['files']>,
): Promise<Qcow2Result> {
  const folder = mkdtempSync(join(tmpdir(), 'blkfleet-qcow2-'));
  try {
    const disk = join(folder, 'disk');
    makeDisk(join(folder, 'files'), disk);
    const boot = await bootKernel({
      kernel: image,
      modules: [...qcow2Modules(image), 'nbd', 'loop', 'brd'],
      moduleParameters: { nbd: 'nbds_max=1', loop: 'max_loop=1', brd: 'rd_nr=1 rd_size=524288' },
      files: [...qcow2Files(built), ...tools],
      script: qcow2Script(benchScript(plan)),
      disks: [disk],
      countInstructions: clock === 'icount',
      memoryMb: 3072,
      timeoutMs: BOOT_MS,
    });
    return { release: image.release, clock, measurements: readFio(boot.output), boot };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A file system with a file system in it, so that the guest needs no program to make one: the inner is for the RAM disk. */
function makeDisk(files: string, disk: string): void {
  const inner = join(files, 'inner');
  mkdirSync(inner, { recursive: true });
  const qemuImg = (...words: string[]) => execFileSync('qemu-img', words, { stdio: 'ignore' });
  qemuImg('create', '-f', 'qcow2', join(inner, 'fresh.qcow2'), `${FRESH_MIB}M`);
  qemuImg('create', '-f', 'raw', join(inner, 'fresh.raw'), `${FRESH_MIB}M`);
  for (const format of ['qcow2', 'raw'])
    qemuImg('create', '-f', format, join(inner, `allocated.${format}`), `${ALLOCATED_MIB}M`);
  ext4Disk(inner, join(files, 'ext4'), 460 * MIB);
  rmSync(inner, { recursive: true });
  ext4Disk(files, disk, 8 * MIB);
}

function benchScript({ works, depths, rounds, seconds, ways }: Qcow2Plan): string {
  const runs = (way: Way, fresh: boolean) =>
    works
      .filter((work) => work.fresh === fresh)
      .flatMap((work) => depths.map((depth) => ({ way, work, depth })));
  const fio = ({ way, work, depth }: { way: Way; work: Work; depth: number }, limit: string) =>
    `measure '${[way.name, work.text, depth].join('|')}' ${way.device} ${work.fio} --iodepth=${depth} ${limit}`;
  const timed = `--size=${ALLOCATED_MIB}m --time_based --runtime=${seconds * 1000}ms --ramp_time=${seconds * 300}ms`;
  const round = ways.flatMap((way) => {
    const on = (file: string, body: readonly string[]) =>
      body.length === 0 ? [] : [`set -- /ram/${file}`, `${way.attach} || failed=1`, ...body, `${way.detach}`];
    return [
      ...on(
        `allocated.${way.format}`,
        runs(way, false).map((run) => fio(run, timed)),
      ),
      ...runs(way, true).flatMap((run) => [
        `cp /ram/fresh.${way.format} /ram/new.${way.format}`,
        // A raw file has no clusters to allocate but the file system's.
        ...on(`new.${way.format}`, [
          fio(
            run,
            `--io_size=${run.work.fio.includes('1m') ? FRESH_MIB : FRESH_MIB / 16}m --size=${FRESH_MIB}m`,
          ),
        ]),
        `rm /ram/new.${way.format}`,
      ]),
    ];
  });
  const fill = ways
    .filter(({ name }) => ['dm-qcow2', 'file'].includes(name))
    .flatMap(({ attach, detach, device, format }) => [
      `set -- /ram/allocated.${format}`,
      `${attach} || exit 1`,
      `dd if=/dev/urandom of=${device} bs=1M count=${ALLOCATED_MIB} conv=notrunc,fsync 2>/dev/null || exit 1`,
      detach,
    ]);
  return `failed=0
mkdir -p /ram /tmp /var/lock
# With its zeros: pages that were never written cost less.
dd if=/images/ext4 of=/dev/ram0 bs=1M 2>/dev/null || exit 1
mount -t ext4 /dev/ram0 /ram || exit 1
measure() {
	mark=$1 device=$2
	shift 2
	/usr/bin/fio --name=bench --thread --direct=1 --ioengine=libaio --filename="$device" "$@" \\
		--output-format=json --output=/tmp/fio.json >/tmp/fio.log 2>&1 || { echo "$mark failed"; cat /tmp/fio.log; failed=1; return; }
	echo "${MARK} $mark"
	tr -d '\\n' </tmp/fio.json
	echo
}
${fill.join('\n')}
round=0
while [ $round -lt ${rounds} ]; do
${round.join('\n')}
round=$((round + 1))
done
umount /ram
[ $failed = 0 ] || exit 1`;
}

/** Rates of all runs of fio, by way, work and depth. */
function readFio(output: string): Qcow2Measurement[] {
  const found = new Map<string, Qcow2Measurement>();
  const lines = output.split('\n');
  for (const [at, line] of lines.entries()) {
    if (!line.startsWith(`${MARK} `)) continue;
    const [way, work, depth] = line.slice(MARK.length + 1).split('|');
    const told = JSON.parse(lines[at + 1] ?? '') as { jobs: Record<'read' | 'write', { iops: number }>[] };
    const { read, write } = told.jobs[0]!;
    const key = [way, work, depth].join('|');
    const one = found.get(key) ?? { way: way!, work: work!, depth: Number(depth), iops: [] };
    found.set(key, one);
    one.iops.push(read.iops + write.iops);
  }
  return [...found.values()];
}
