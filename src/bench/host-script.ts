import type { BenchRw, BenchWay } from '../events/bench.ts';
import { shellQuote } from '../lib/shell.ts';
import { diskCheck } from './disk-check.ts';
import { guestFunctions } from './guest-script.ts';
import { type GuestMode, RAMDISK } from './request.ts';

/** What the host is told to do: numbers and words that were checked, and reasons for what it leaves out. */
export interface BenchPlan {
  /** `ramdisk`, or the path of a block device */
  disk: string;
  ramdiskMiB: number;
  rw: readonly BenchRw[];
  ways: readonly BenchWay[];
  vcpus: readonly number[];
  iodepth: number;
  runtimeSeconds: number;
  rounds: number;
  /** `no` also where the host can not run one */
  guest: GuestMode;
  /** why there is no guest, where there is none */
  noGuest: string;
  /** folder of vhost-blk-bench's source, or why it can not be built */
  client: { source: string } | { lacks: string };
}

/** Everything of a run stands in here, in memory, and is gone with it. */
const WORK = '/run/blkfleet-bench';
/** Seconds that a measurement may take beside its own time: set-up on a slow machine. */
const SPARE_SECONDS = 60;
const BUILD_SECONDS = 1200;
/** That a guest may take to boot, and of one that is only tried. */
const GUEST_SECONDS = 60;
const EMULATED_GUEST_SECONDS = 600;

/** Seconds after which a run must have ended, by what its parts may take. */
export function benchDeadline(plan: BenchPlan): number {
  const boot = plan.guest === 'tcg' ? EMULATED_GUEST_SECONDS : GUEST_SECONDS;
  const each = plan.rw.length * (plan.runtimeSeconds + SPARE_SECONDS) + boot;
  return BUILD_SECONDS + 2 * boot + plan.rounds * plan.vcpus.length * plan.ways.length * each;
}

/**
 * The script that measures, as root. Frames: `note` says what it does now; `disk` is `KIND DEVICE BYTES`; `driver` what
 * drives the ways of a guest, and why; `skip.WAY` why a way is left out; `s.ROUND.VCPUS.WAY.RW` is a measurement, with
 * rc 0 what the program printed, else why there is none; `fail` with rc 1 why there is nothing, rc 2: the lock is held.
 *
 * It holds the lock of blkfleet's jobs, so that no apply takes the module away meanwhile, and cleans up however it ends,
 * also what an earlier run left that was killed. Once nobody reads its answers, writing them fails, and it ends: it beats
 * every second.
 */
export function benchScript(plan: BenchPlan): string {
  return `(
umask 077
bench_work=${WORK} bench_depth=${plan.iodepth} bench_time=${plan.runtimeSeconds} bench_ways=${shellQuote(plan.ways.join(' '))}
bench_child= bench_helpers=
bench_say() { bf_b note; echo "$1"; bf_e note 0; }
bench_fail() { bf_b fail; echo "$1"; bf_e fail "\${2-1}"; exit 1; }
${lock}${processes}${ramdisk}${diskCheck}${measure}${guestFunctions(plan, { guest: GUEST_SECONDS, emulated: EMULATED_GUEST_SECONDS, spare: SPARE_SECONDS })}
bench_lock
trap bench_clean 0
trap 'exit 141' HUP INT TERM PIPE
[ ! -e "$bench_work" ] || bench_remove || bench_fail "the RAM disk of an earlier run can not be removed"
mkdir -m 0700 "$bench_work" && cd "$bench_work" || bench_fail "can not make ${WORK}"
${plan.disk === RAMDISK ? `ramdisk_make ${plan.ramdiskMiB}` : openDisk(plan.disk)}
read -r bench_v < "/sys/class/block/$disk_name/size"
bf_b disk; echo "$bench_kind $disk $((bench_v * 512))"; bf_e disk 0
${plan.disk === RAMDISK ? fill : ''}guest_choose
[ "$guest_kind" != client ] || ${'source' in plan.client ? `client_build ${shellQuote(plan.client.source)}` : `client_none ${shellQuote(`needs vhost-blk-bench: ${plan.client.lacks}`)}`}
bench_i=0
while [ "$bench_i" -lt ${plan.rounds} ]; do
  bench_i=$((bench_i + 1))
  for bench_n in ${plan.vcpus.join(' ')}; do
    for bench_way in $bench_ways; do
      case " $bench_out " in *" $bench_way "*) continue;; esac
      bench_say "round $bench_i of ${plan.rounds}, $bench_n vCPU: $bench_way"
      if [ "$bench_way" = host ]; then
        for bench_rw in ${plan.rw.join(' ')}; do host_measure; done
      elif [ "$guest_kind" = client ]; then
        for bench_rw in ${plan.rw.join(' ')}; do client_measure; done
      else guest_measure
      fi
    done
  done
done
exit 0
)
`;
}

/** Waits until a run that was given up has cleaned up: frame `left` is empty then, else says what is still there. */
export const settleScript = `bf_b left
if [ -e /run/blkfleet/lock ]; then flock -w 60 /run/blkfleet/lock true || echo "a run still holds the lock"; fi
[ ! -e ${WORK} ] || echo "${WORK} is still there"
bf_e left 0
`;

// As the runner of jobs takes it: a lock file that was removed meanwhile guards nothing.
const lock = `bench_lock() {
  while :; do
    mkdir -p -m 0700 /run/blkfleet 2>/dev/null
    command exec 9>>/run/blkfleet/lock || { [ -d /run/blkfleet ] && bench_fail "can not write /run/blkfleet/lock"; continue; }
    flock -n 9 || bench_fail "another run of blkfleet is at work there" 2
    [ "$(stat -c %i /run/blkfleet/lock 2>/dev/null)" = "$(stat -Lc %i /proc/self/fd/9 2>/dev/null)" ] && return
  done
}
`;

/**
 * `bench_run SECONDS OUT COMMAND…` runs a command to its end with its output in OUT and OUT.err; `bench_stop PID` ends
 * one that runs beside. timeout(1) gives each a process group, and ends all of it when it is asked to end.
 */
const processes = `bench_state() { bench_s=; read -r bench_p bench_c bench_s bench_r < "/proc/$1/stat"; } 2>/dev/null
bench_beat() {
  sleep 0.2
  bench_k=$(((\${bench_k-0} + 1) % 5))
  [ "$bench_k" != 0 ] || printf '\\n' || exit 141
}
bench_wait() {
  while bench_state "$1" && [ "$bench_s" != Z ]; do bench_beat; done
  wait "$1"
}
bench_run() {
  bench_limit=$1 bench_file=$2; shift 2
  timeout -k 5 "$bench_limit" "$@" >"$bench_file" 2>"$bench_file.err" </dev/null 9>&- &
  bench_child=$!
  bench_wait "$bench_child"; bench_rc=$?
  bench_child=
  return "$bench_rc"
}
bench_stop() {
  [ -n "$1" ] || return 0
  kill "$1" 2>/dev/null
  wait "$1" 2>/dev/null
}
bench_why() {
  case $1 in 124|137) echo "it did not end in time";; *) echo "it ended with status $1";; esac
  tail -c 600 "$2"
}
bench_clean() {
  bench_rc=$?
  trap '' HUP INT TERM PIPE
  bench_stop "$bench_child"
  for bench_p in $bench_helpers; do bench_stop "$bench_p"; done
  cd /
  bench_remove || bench_say "the RAM disk can not be removed; the next run tries again"
  rm -f /run/blkfleet/lock
  rmdir /run/blkfleet 2>/dev/null
  exit "$bench_rc"
}
bench_remove() {
  if [ -e "$bench_work/ramdisk" ]; then ramdisk_remove || return 1; fi
  umount "$bench_work/client" 2>/dev/null
  rm -rf "$bench_work"
}
`;

/**
 * A disk in memory: brd where it is not in use, else an instance of null_blk that keeps what is written. What is made is
 * noted before it is made, so that it can be removed by a later run, too.
 */
const ramdisk = `ramdisk_make() {
  bench_say "making a RAM disk of $1 MiB"
  if [ ! -d /sys/module/brd ] && modprobe -n -q brd; then
    echo brd > "$bench_work/ramdisk"
    if modprobe brd rd_nr=1 rd_size=$(($1 * 1024)) max_part=0 2>/dev/null && ramdisk_node ram0; then bench_kind=brd; return 0; fi
    ramdisk_remove
  fi
  [ -d /sys/module/null_blk ] || echo null_blk > "$bench_work/loaded"
  echo null_blk > "$bench_work/ramdisk"
  ramdisk_d=/sys/kernel/config/nullb/blkfleet-bench
  if modprobe null_blk nr_devices=0 2>/dev/null && ramdisk_configfs && mkdir "$ramdisk_d" &&
    echo "$1" > "$ramdisk_d/size" && echo 1 > "$ramdisk_d/memory_backed" && echo 4096 > "$ramdisk_d/blocksize" &&
    echo 1 > "$ramdisk_d/power" && read -r ramdisk_i < "$ramdisk_d/index" &&
    { ramdisk_node "nullb$ramdisk_i" || ramdisk_node blkfleet-bench; }; then bench_kind=null_blk; return 0; fi 2>/dev/null
  bench_fail "neither brd nor null_blk can make a RAM disk with this kernel; name an empty --disk"
}
ramdisk_configfs() {
  [ -d /sys/kernel/config/nullb ] || mount -t configfs none /sys/kernel/config; [ -d /sys/kernel/config/nullb ]
}
ramdisk_node() {
  for ramdisk_n in 1 2 3 4 5 6 7 8 9 10; do
    disk_find "/dev/$1" && return 0
    sleep 0.2
  done
  return 1
}
ramdisk_remove() {
  read -r ramdisk_k < "$bench_work/ramdisk"
  for ramdisk_n in 1 2 3 4 5 6 7 8 9 10; do
    case $ramdisk_k in
      brd) [ ! -d /sys/module/brd ] || modprobe -r brd 2>/dev/null;;
      null_blk)
        if [ -d /sys/kernel/config/nullb/blkfleet-bench ]; then
          echo 0 > /sys/kernel/config/nullb/blkfleet-bench/power
          rmdir /sys/kernel/config/nullb/blkfleet-bench
        fi && { [ ! -e "$bench_work/loaded" ] || [ ! -d /sys/module/null_blk ] || modprobe -r null_blk; } 2>/dev/null;;
    esac && { rm -f "$bench_work/ramdisk" "$bench_work/loaded"; return 0; }
    sleep 0.5
  done
  return 1
}
`;

// The survey has asked the same; nothing is written in between, but much may happen.
const openDisk = (
  path: string,
) => `disk_find ${shellQuote(path)} || bench_fail "there is no such block device"
bench_v=$(disk_reasons)
[ -z "$bench_v" ] || bench_fail "the disk is left alone: $bench_v"
bench_kind=block`;

// Reading what was never written costs a RAM disk less than reading what was.
const fill = `bench_run 600 fill dd if=/dev/zero "of=$disk" bs=1M oflag=direct
`;

/**
 * fio on the host, and vhost-blk-bench. What fio runs before and after a job goes to NAME.prerun.txt and
 * NAME.postrun.txt (fio(1), exec_prerun): the time of all CPUs, which is counted between.
 */
const measure = `bench_out=
bench_skip() {
  bf_b "skip.$1"; echo "$2"; bf_e "skip.$1" 0
  bench_out="$bench_out $1"
}
bench_tell() {
  bf_b "s.$bench_i.$bench_n.$bench_way.$bench_rw"
  if [ "$1" = 0 ]; then head -c 200000 "$2"; else bench_why "$1" "$2.err"; fi
  bf_e "s.$bench_i.$bench_n.$bench_way.$bench_rw" "$1"
}
host_measure() {
  rm -f bench.prerun.txt bench.postrun.txt fio.json
  bench_run $((bench_time + ${SPARE_SECONDS})) fio fio --name=bench "--filename=$disk" --direct=1 "--rw=$bench_rw" --bs=4k \\
    --ioengine=libaio "--iodepth=$bench_depth" "--numjobs=$bench_n" --group_reporting --time_based \\
    "--runtime=$bench_time" --norandommap --randrepeat=0 --thread --exec_prerun='head -n 1 /proc/stat' \\
    --exec_postrun='head -n 1 /proc/stat' --output-format=json --output=fio.json
  bench_rc=$?
  cat bench.prerun.txt bench.postrun.txt fio.json > fio 2>/dev/null
  bench_tell "$bench_rc" fio
}
client_build() {
  bench_say "building vhost-blk-bench"
  # Debian mounts /run so that nothing in it can be executed.
  mkdir client && mount -t tmpfs -o mode=0700,nosuid,nodev,size=64m tmpfs client || {
    client_none "no file system for vhost-blk-bench can be mounted there"; return
  }
  bench_run ${BUILD_SECONDS} build make -s "-j$(nproc)" -C "$1" "O=$bench_work/client" CFLAGS=-O1 && return
  client_none "vhost-blk-bench can not be built there: $(tail -n 1 build.err | head -c 300)"
}
client_none() {
  for bench_way in vhost-user-blk vhost-blk; do
    case " $bench_ways " in *" $bench_way "*) bench_skip "$bench_way" "$1";; esac
  done
}
client_measure() {
  rm -f client.json
  bench_run $((bench_time + 2 * ${SPARE_SECONDS})) client.out client/vhost-blk-bench --device "$disk" --destroy-data \\
    --engines "$bench_way" --ops "\${bench_rw#rand}" --depths "$bench_depth" --queues "$bench_n" --rounds 1 \\
    --seconds "$bench_time" --warm-up 0.5 --json client.json
  bench_rc=$?
  # What failed is told in the document.
  if [ -s client.json ]; then cat client.json > client.out; bench_rc=0; fi
  bench_tell "$bench_rc" client.out
}
`;
