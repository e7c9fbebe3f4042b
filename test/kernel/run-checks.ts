import type { BootResult } from './boot.ts';
import type { Tally } from './feature-table.ts';
import { kernelLines } from './lines.ts';

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
  /** Lines of cases that the check skipped, with its reason. */
  skips: string[];
  /** Feature → how its cases of this run ended. */
  rows: Map<string, Tally>;
  /** Whether the module could be unloaded behind it: no reference was left. */
  unloaded: boolean;
  /** Pages that were pinned and not released, when it was unloaded. */
  pinned: number | null;
}

/** What a guest reported. */
export interface GuestReport {
  runs: CheckRun[];
  /** Lines of `vhost-blk-check --features`. */
  offered: string[];
  /** Kernel messages since the module was loaded that tell of a bug. */
  splats: string[];
  /** Taint flags that came with the module and the checks, as the kernel's letters. */
  taint: string;
  /** rmmod was refused while the device was open. */
  heldWhileOpen: boolean;
  /** Bytes that the kernel counted as written by the cgroup in which a guest with `accountedBytes` ran. */
  accounted: number;
}

/** A line of the console: what stands before it is the kernel's own. */
export const START = 'vhost_blk-matrix: begin';

const MIB = 1024 * 1024;

/**
 * What the run in a cgroup writes: the four variants of a 1 MiB write, each prepared with 4 KiB more at both ends, and
 * 1 MiB zeroed at both ends of the disk. Without the guest's own part it were 4 MiB less.
 */
export const accountedBytes = 4 * (MIB + MIB + 2 * 4096) + 2 * MIB;

/** Size of the ext4 file system for files as disks, whose compressed image is in the guest as EXT4_IMAGE. */
export const EXT4_MIB = 160;
export const EXT4_IMAGE = 'ext4.gz';

/** Runs of the check program: name → what is done first, and its options. */
interface RunPlan {
  name: string;
  options: string;
  before?: string;
  after?: string;
  /** Kind of the disk: each case counts as one of this feature, too. */
  backend?: 'bio backend' | 'file backend';
}

/** A disk of null_blk whose requests take 3 ms each. */
const slow = 'irqmode=2 completion_nsec=3000000 hw_queue_depth=16 discard=1';

/** How much is tried: enough to find what breaks at once, or, where all of it shall run, millions of requests. */
export const long = process.env.BLKFLEET_TEST_FULL === '1';

/** The oldest and the newest line, for what differs little between lines; all in the long form. */
export const outerLines = long ? kernelLines : [kernelLines[0]!, kernelLines.at(-1)!];

const runs: readonly RunPlan[] = [
  { name: 'features', options: '--features' },
  { name: 'quick', options: '--quick --record' },
  { name: 'recorded', options: '--recorded' },
  { name: 'full', options: '--full' },
  { name: 'hostile', options: '--hostile' },
  { name: 'matrix', options: `--matrix ${long ? '--long 4' : ''}` },
  { name: 'model', options: `--model ${long ? '--long 20' : ''}` },
  { name: 'lifecycle', options: `--lifecycle ${long ? '--long 4' : ''}` },
  // A disk that takes its time: requests really are in flight when the queue stops or the owner dies.
  { name: 'slow disk', options: '--quick --device /dev/nullb0', before: makeDisk('nullb0', slow) },
  { name: 'slow disk, stopped', options: '--lifecycle --only flight --device /dev/nullb0' },
  // The time goes to the module then, and not to the disk.
  {
    name: 'fuzz',
    options: `--fuzz ${long ? '--long 6' : ''} --device /dev/nullb1`,
    before: makeDisk('nullb1', 'irqmode=1'),
  },
  {
    name: 'blocks of 4096 bytes',
    options: `${long ? '--full' : '--quick'} --device /dev/nullb2`,
    before: makeDisk('nullb2', 'blocksize=4096 discard=1'),
  },
  {
    name: 'file on tmpfs',
    options: `--quick ${long ? '--matrix --model --long 4' : ''} --file /tmp`,
    backend: 'file backend',
  },
  {
    name: 'file on ext4',
    options: `--full ${long ? '--hostile --lifecycle' : ''} --file /ext4`,
    before: mountExt4(),
    after: 'umount /ext4',
    backend: 'file backend',
  },
  // A worker's I/O is the owner's for the controller of cgroup 2, which workers themselves are not in.
  {
    name: 'cgroup',
    options: '--only "write 65536 x 16 segments" --device /dev/nullb0',
    before: enterCgroup(),
    after: leaveCgroup(),
  },
];

/** Modules that the checks need: a scratch disk, one with a delay that can be removed, the device mapper's, and ext4. */
export const checkModules = ['loop', 'null_blk', 'dm_mod', 'dm_delay', 'ext4'];

/** ext4 asks for this one by what it does, where the kernel does not have it built in. */
export const checkModulesIfAny = ['crc32c_generic'];

/** null_blk makes no disk of its own then; configfs, which every line has, sets the delay. */
export const checkModuleParameters = { null_blk: 'nr_devices=0' };

/**
 * The script for the guest: loads the module, runs every check, unloads it, and tells what the kernel had to say.
 * @param adapt what a run's options of the check program are to be instead
 */
export function checkScript(adapt = (options: string, _name: string): string => options): string {
  const steps = runs.map(
    ({ name, options, before = ':', after = ':' }) => `${before}
echo "@@run ${name}"
insmod /vhost_blk.ko
vhost-blk-check --timeout ${long ? 600 : 240} ${adapt(options, name)}
echo "@@ended $?"
${after}
rmmod vhost_blk && echo "@@unloaded"
pinned
echo "@@end"`,
  );
  return `echo '<6>${START}' >/dev/kmsg
echo "@@taint $(cat /proc/sys/kernel/tainted)"
pinned() {
	echo 1 >/proc/sys/vm/stat_refresh
	awk '/^nr_foll_pin_acquired/ { a = $2 } /^nr_foll_pin_released/ { r = $2 } END { print "@@pinned " a - r }' /proc/vmstat
}
mount -t configfs configfs /sys/kernel/config
insmod /vhost_blk.ko || exit 1
exec 3<>/dev/vhost-blk
rmmod vhost_blk 2>/dev/null || echo "@@held"
exec 3>&-
rmmod vhost_blk
${steps.join('\n')}
echo "@@taint $(cat /proc/sys/kernel/tainted)"
`;
}

/** Older kernels name null_blk's disks by their number, in the order in which they are made, newer ones by the folder. */
function makeDisk(name: string, settings: string): string {
  return `disk=/sys/kernel/config/nullb/${name}
mkdir $disk
for setting in memory_backed=1 size=64 blocksize=512 ${settings} power=1; do
	echo "\${setting#*=}" >"$disk/\${setting%%=*}"
done`;
}

/** Mounted by way of a loop device, which leaves with the mount. */
function mountExt4(): string {
  return `zcat /${EXT4_IMAGE} >/tmp/ext4.image
mkdir /ext4
mount -t ext4 -o loop /tmp/ext4.image /ext4`;
}

function enterCgroup(): string {
  return `mkdir /cgroup
mount -t cgroup2 cgroup2 /cgroup
echo +io >/cgroup/cgroup.subtree_control
mkdir /cgroup/vm
echo $$ >/cgroup/vm/cgroup.procs`;
}

function leaveCgroup(): string {
  return `echo $$ >/cgroup/cgroup.procs
echo "@@accounted $(sed -n 's/.* wbytes=\\([0-9]*\\).*/\\1/p' /cgroup/vm/io.stat)"`;
}

/** Reads what a guest wrote. A guest that died leaves runs without an end, which count as failed. */
export function readReport(result: BootResult): GuestReport {
  const report: GuestReport = {
    runs: [],
    offered: [],
    splats: splatsOf(result.console),
    taint: '',
    heldWhileOpen: false,
    accounted: 0,
  };
  const taints: number[] = [];
  let current: CheckRun | undefined;
  let features: string[] = [];
  for (const line of result.output.split('\n')) {
    const mark = /^@@(\w+) ?(.*)$/.exec(line);
    if (mark?.[1] === 'run') {
      current = newRun(mark[2]!);
      features = [];
      report.runs.push(current);
    } else if (mark?.[1] === 'end') current = undefined;
    else if (mark?.[1] === 'ended' && current) current.exit = Number(mark[2]);
    else if (mark?.[1] === 'unloaded' && current) current.unloaded = true;
    else if (mark?.[1] === 'pinned' && current) current.pinned = Number(mark[2]);
    else if (mark?.[1] === 'taint') taints.push(Number(mark[2]));
    else if (mark?.[1] === 'held') report.heldWhileOpen = true;
    else if (mark?.[1] === 'accounted') report.accounted = Number(mark[2]);
    else if (current && line.startsWith('# row: ')) {
      const backend = runs.find(({ name }) => name === current?.name)?.backend ?? 'bio backend';
      features = [...new Set([line.slice('# row: '.length), backend])];
    } else if (current?.name === 'features') report.offered.push(line);
    else if (current) countLine(current, features, line);
  }
  const [before, after] = taints;
  if (before !== undefined && after !== undefined) report.taint = taintLetters(after & ~before);
  return report;
}

/** Names of all runs, in order: what a whole report has. */
export const runNames = runs.map((run) => run.name);

/** Those on the program's own scratch disk, for which each case is made; other disks can not do all. */
export const scratchRuns = runs.filter((run) => !/--(device|file)/.test(run.options)).map((run) => run.name);

function newRun(name: string): CheckRun {
  const counts = { passed: 0, failed: 0, skipped: 0 };
  return {
    name,
    ...counts,
    exit: null,
    failures: [],
    skips: [],
    rows: new Map(),
    unloaded: false,
    pinned: null,
  };
}

function countLine(run: CheckRun, features: readonly string[], line: string): void {
  let ended: keyof Tally;
  if (line.startsWith('not ok ')) {
    ended = 'failed';
    run.failures.push(line);
  } else if (/^ok .* # skipped: /.test(line)) {
    ended = 'skipped';
    run.skips.push(line);
  } else if (line.startsWith('ok ')) ended = 'passed';
  else return;
  run[ended]++;
  for (const row of features) {
    const tally = run.rows.get(row) ?? { passed: 0, failed: 0, skipped: 0 };
    tally[ended]++;
    run.rows.set(row, tally);
  }
}

export const splat =
  /\b(BUG|Oops|WARNING|KASAN|UBSAN|KFENCE)\b|general protection|blocked for more|\bstall|Call Trace|refcount_t|Poison overwritten|Redzone|soft lockup|Kernel panic/;

/** Lines of a console behind START that tell of a bug. */
export function splatsOf(console: string): string[] {
  const begin = console.indexOf(START);
  const lines = (begin < 0 ? console : console.slice(begin)).split('\n');
  return lines.filter((line) => splat.test(line));
}

// Documentation/admin-guide/tainted-kernels.rst, bit 0 first.
const letters = 'PFSRMBUDAWCIOELKXTN';

function taintLetters(taint: number): string {
  return [...letters].filter((_, bit) => (taint >> bit) & 1).join('');
}
