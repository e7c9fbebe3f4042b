import type { BootResult } from './boot.ts';

/** One run of vhost-blk-check in the guest. */
export interface CheckRun {
  name: string;
  passed: number;
  failed: number;
  skipped: number;
  /** Exit code; null when the guest did not get that far. */
  exit: number | null;
  /** The `not ok` lines. */
  failures: string[];
}

/** What a guest reported. */
export interface GuestReport {
  runs: CheckRun[];
  /** Kernel messages since the module was loaded that tell of a bug. */
  splats: string[];
  /** Taint flags that came with the module and the checks, as the kernel's letters. */
  taint: string;
  /** Pages that were pinned and never released. */
  pinned: number | null;
  unloaded: boolean;
}

const START = 'vhost_blk-matrix: begin';

/** Runs of the check program: name → what is done first, and its options. */
const runs: readonly { name: string; options: string; before?: string }[] = [
  { name: 'features', options: '--features' },
  { name: 'quick', options: '--quick --record' },
  { name: 'recorded', options: '--recorded' },
  { name: 'full', options: '--full' },
  { name: 'hostile', options: '--hostile' },
  { name: 'lifecycle', options: '--lifecycle' },
  // A disk that takes its time: requests really are in flight when the queue stops or the owner dies.
  { name: 'slow disk', options: '--quick --lifecycle --device /dev/nullb0', before: slowDisk() },
];

/** Modules that the checks need, and null_blk for a disk with a delay. */
export const checkModules = ['loop', 'null_blk'];

/** null_blk makes no disk of its own then; configfs, which every line has, sets the delay. */
export const checkModuleParameters = { null_blk: 'nr_devices=0' };

/** The script for the guest: loads the module, runs every check, unloads it, and tells what the kernel had to say. */
export function checkScript(): string {
  const steps = runs.map(
    ({ name, options, before }) => `${before ?? ''}
echo "@@run ${name}"
vhost-blk-check --timeout 600 ${options}
echo "@@end $?"`,
  );
  return `echo '<6>${START}' >/dev/kmsg
echo "@@taint $(cat /proc/sys/kernel/tainted)"
pinned() {
	echo 1 >/proc/sys/vm/stat_refresh
	awk '/^nr_foll_pin_acquired/ { a = $2 } /^nr_foll_pin_released/ { r = $2 } END { print "@@pinned " a - r }' /proc/vmstat
}
insmod /vhost_blk.ko || exit 1
${steps.join('\n')}
pinned
rmmod vhost_blk && echo "@@unloaded"
echo "@@taint $(cat /proc/sys/kernel/tainted)"
`;
}

function slowDisk(): string {
  return `mount -t configfs configfs /sys/kernel/config
slow=/sys/kernel/config/nullb/nullb0
mkdir $slow
for setting in memory_backed=1 size=64 blocksize=512 irqmode=2 completion_nsec=3000000 hw_queue_depth=16 power=1; do
	echo "\${setting#*=}" >"$slow/\${setting%%=*}"
done`;
}

/** Reads what a guest wrote. A guest that died leaves runs without an end, which count as failed. */
export function readReport(result: BootResult): GuestReport {
  const report: GuestReport = {
    runs: [],
    splats: splatsOf(result.console),
    taint: '',
    pinned: null,
    unloaded: false,
  };
  const taints: number[] = [];
  let current: CheckRun | undefined;
  for (const line of result.output.split('\n')) {
    const mark = /^@@(\w+) ?(.*)$/.exec(line);
    if (mark?.[1] === 'run') {
      current = { name: mark[2]!, passed: 0, failed: 0, skipped: 0, exit: null, failures: [] };
      report.runs.push(current);
    } else if (mark?.[1] === 'end' && current) {
      current.exit = Number(mark[2]);
      current = undefined;
    } else if (mark?.[1] === 'taint') taints.push(Number(mark[2]));
    else if (mark?.[1] === 'pinned') report.pinned = Number(mark[2]);
    else if (mark?.[1] === 'unloaded') report.unloaded = true;
    else if (current) countLine(current, line);
  }
  const [before, after] = taints;
  if (before !== undefined && after !== undefined) report.taint = taintLetters(after & ~before);
  return report;
}

/** Names of all runs, in order: what a whole report has. */
export const runNames = runs.map((run) => run.name);

function countLine(run: CheckRun, line: string): void {
  if (line.startsWith('not ok ')) {
    run.failed++;
    run.failures.push(line);
  } else if (/^ok .* # skipped: /.test(line)) run.skipped++;
  else if (line.startsWith('ok ')) run.passed++;
}

const splat =
  /\b(BUG|Oops|WARNING|KASAN|UBSAN|KFENCE)\b|general protection|blocked for more|\bstall|Call Trace|refcount_t|Poison overwritten|Redzone|soft lockup|Kernel panic/;

function splatsOf(console: string): string[] {
  const begin = console.indexOf(START);
  const lines = (begin < 0 ? console : console.slice(begin)).split('\n');
  return lines.filter((line) => splat.test(line));
}

// Documentation/admin-guide/tainted-kernels.rst, bit 0 first.
const letters = 'PFSRMBUDAWCIOELKXTN';

function taintLetters(taint: number): string {
  return [...letters].filter((_, bit) => (taint >> bit) & 1).join('');
}
