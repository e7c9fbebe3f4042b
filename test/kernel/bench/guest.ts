import { type BootRequest, type BootResult, bootKernel } from '../boot.ts';
import type { Prepared } from '../prepare.ts';
import { storageDaemon } from './program-files.ts';

/** The time that a guest measures with: instructions counted on one CPU, or the machine's own on two. */
export type Clock = 'icount' | 'wall';

/** What vhost-blk-bench is told. */
export interface Plan {
  engines: readonly string[];
  ops: readonly string[];
  depths: readonly number[];
  queues: readonly number[];
  rounds: number;
  seconds: number;
  warmUp: number;
  /** Further options. */
  options?: readonly string[];
}

/** One line of its JSON. */
export interface Measurement {
  disk: string;
  engine: string;
  op: string;
  depth: number;
  queues: number;
  /** How long the guest looked for an answer before it slept; 0: not at all. */
  haltPollUs: number;
  direct: boolean;
  eventIdx: boolean;
  iops: number[];
  /** µs of all CPUs of the machine for a transfer, of each round */
  cpuUs: number[];
  best: number;
  median: number;
  latencyUs: number;
  kicks: number;
  signals: number;
  outcome: 'ok' | 'skipped' | 'failed';
  trouble: string;
}

/** What came of one guest. */
export interface BenchResult {
  release: string;
  clock: Clock;
  measurements: Measurement[];
  boot: BootResult;
}

/** Engines that are measured unless told otherwise; the first is what the others are compared with. */
export const engines = ['vhost-blk', 'libaio', 'io_uring', 'vhost-user-blk', 'vhost-scsi'] as const;

const BOOT_MS = 60 * 60_000;
const JSON_MARK = '@@json';

const modules = ['null_blk', 'brd', 'vhost_scsi', 'target_core_iblock'];

// Both disks cost the CPU only. null_blk ends a request within its submission and keeps nothing; brd copies.
const moduleParameters = { null_blk: 'nr_devices=0', brd: 'rd_nr=1 rd_size=65536' };

/** What a guest measures on. */
export const disks = [
  { name: 'null_blk', device: '/dev/nullb0' },
  { name: 'brd', device: '/dev/ram0' },
];

/**
 * Boots a kernel and measures in it what some plans say, on both disks.
 * @param daemon files of qemu-storage-daemon, when an engine needs it
 */
export async function runBench(
  { image, built }: Prepared,
  clock: Clock,
  plans: readonly Plan[],
  daemon: NonNullable<BootRequest['files']>,
): Promise<BenchResult> {
  const boot = await bootKernel({
    kernel: image,
    modules,
    moduleParameters,
    files: [
      { path: 'vhost_blk.ko', data: built.module },
      { path: 'sbin/vhost-blk-bench', data: built.bench, mode: 0o755 },
      ...daemon,
    ],
    script: benchScript(plans),
    countInstructions: clock === 'icount',
    memoryMb: 1024,
    timeoutMs: BOOT_MS,
  });
  return { release: image.release, clock, measurements: readMeasurements(boot.output), boot };
}

/** Options of vhost-blk-bench. */
function optionsOf(plan: Plan): string {
  return [
    ...['--destroy-data', '--json', '/tmp/json', '--storage-daemon', storageDaemon],
    ...['--engines', plan.engines.join(',')],
    ...['--ops', plan.ops.join(','), '--depths', plan.depths.join(','), '--queues', plan.queues.join(',')],
    ...[
      '--rounds',
      plan.rounds,
      '--seconds',
      plan.seconds,
      '--warm-up',
      plan.warmUp,
      ...(plan.options ?? []),
    ],
  ].join(' ');
}

function benchScript(plans: readonly Plan[]): string {
  const runs = disks.flatMap(({ name, device }) =>
    plans.map((plan) => `vhost-blk-bench --device ${device} --name ${name} ${optionsOf(plan)} || code=1`),
  );
  return `mkdir -p /var/target/pr /var/target/alua
mount -t configfs configfs /sys/kernel/config
null=/sys/kernel/config/nullb/nullb0
mkdir $null
for setting in memory_backed=0 size=1024 irqmode=0 queue_mode=2 submit_queues=2 hw_queue_depth=256 power=1; do
	echo "\${setting#*=}" >"$null/\${setting%%=*}" || exit 1
done
echo none >/sys/block/nullb0/queue/scheduler
# Pages that were never written cost less.
dd if=/dev/zero of=/dev/ram0 bs=1M count=64 2>/dev/null
insmod /vhost_blk.ko || exit 1
code=0
${runs.join('\n')}
echo "${JSON_MARK}"
cat /tmp/json
exit $code
`;
}

function readMeasurements(output: string): Measurement[] {
  const begin = output.indexOf(JSON_MARK);
  if (begin < 0) return [];
  return output
    .slice(begin)
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Measurement);
}
