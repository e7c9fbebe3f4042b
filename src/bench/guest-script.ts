import { shellQuote } from '../lib/shell.ts';
import type { BenchPlan } from './host-script.ts';

/** Seconds that parts of a guest's run may take. */
export interface GuestLimits {
  /** to boot, with KVM */
  guest: number;
  /** to boot with an emulated CPU */
  emulated: number;
  /** a measurement beside its own time */
  spare: number;
}

const MODULES = 'virtio_pci virtio_blk';

/**
 * What runs in the guest as its first process: fio on its only disk, told by the kernel's command line what to do. What
 * it prints goes to the second serial port: `@ready`, `@begin RW`, `@start` and `@stop` around the time that is counted,
 * fio's document, `@end STATUS`.
 */
const init = `#!/bin/sh
PATH=/bin
export PATH
mount -t proc none /proc; mount -t sysfs none /sys; mount -t devtmpfs none /dev
exec </dev/null >/dev/ttyS1 2>&1
for m in /modules/*.ko; do [ ! -e "$m" ] || insmod "$m"; done
for w in $(cat /proc/cmdline); do case $w in bench.*) eval "\${w#bench.}";; esac; done
i=0; while [ ! -b /dev/vda ] && [ "$i" -lt 200 ]; do sleep 0.1; i=$((i + 1)); done
echo @ready
IFS=,
for rw in $rws; do
  echo "@begin $rw"
  fio --name=bench --filename=/dev/vda --direct=1 --rw="$rw" --bs=4k --ioengine=libaio --iodepth="$depth" \\
    --numjobs="$jobs" --group_reporting --time_based --runtime="$time" --norandommap --randrepeat=0 --thread \\
    --exec_prerun=/start --exec_postrun=/stop --output-format=json --output=/fio.json >/fio.log 2>&1
  rc=$?
  if [ "$rc" = 0 ]; then cat /fio.json; else tail -n 5 /fio.log; fi
  echo "@end $rc"
done
echo @over
echo o > /proc/sysrq-trigger
sleep 100
`;

/**
 * sh functions of the small guest: the host's own kernel, and an initramfs of the host's own sh, fio and what they
 * load. `guest_choose` sets `guest_kind` to `kvm`, `tcg` or `client`, and tells why; a guest under KVM is used only when
 * one has really started within its time. `guest_measure` measures `bench_way` with `bench_n` CPUs, all kinds of rw.
 */
export function guestFunctions(plan: BenchPlan, limits: GuestLimits): string {
  const rws = plan.rw.join(',');
  const each = plan.rw.length * (plan.runtimeSeconds + limits.spare);
  return `guest_driver() {
  guest_kind=$1
  bf_b driver; echo "$1 $2"; bf_e driver 0
  [ -z "\${3-}" ] || bench_skip virtio-blk "$3"
}
guest_choose() {
  case ${plan.guest} in
    no) guest_driver client ${shellQuote(plan.noGuest)}; return;;
    auto) guest_accel=kvm guest_cpu=host guest_limit=${limits.guest};;
    tcg) guest_accel=tcg,thread=multi guest_cpu=max guest_limit=${limits.emulated};;
  esac
  bench_say "making a small guest"
  if ! guest_make; then guest_driver client "no guest can be made: $guest_why" "needs a guest, and none can be made: $guest_why"; return; fi
  bench_say "trying a guest"
  if guest_start 1 '' && guest_await @ready && guest_await @over; then guest_driver ${plan.guest === 'tcg' ? 'tcg' : 'kvm'} "a guest has started"
  else guest_driver client "this host has no usable KVM: a guest did not start in $guest_limit s" "needs a guest, and none starts on this host"; fi
  guest_stop
}
guest_add() {
  for guest_f in "$@"; do
    [ -e "root$guest_f" ] || { mkdir -p "root\${guest_f%/*}" && cp -L "$guest_f" "root$guest_f"; } || return 1
  done
}
guest_make() {
  guest_release=$(uname -r)
  guest_why="there is no /boot/vmlinuz-$guest_release"
  [ -r "/boot/vmlinuz-$guest_release" ] || return 1
  mkdir -p root/bin root/proc root/sys root/dev root/modules root/tmp
  for guest_t in sh mount cat tail sleep fio insmod; do
    guest_why="there is no $guest_t"
    guest_p=$(command -v "$guest_t") && guest_p=$(readlink -f "$guest_p") && cp -L "$guest_p" "root/bin/$guest_t" || return 1
    # What it loads: ldd(1) prints NAME => PATH (ADDRESS), and the loader's path alone.
    guest_why="what $guest_t loads can not be had"
    guest_add $(ldd "$guest_p" 2>/dev/null | sed -n 's/.*=> \\(\\/[^ ]*\\) .*/\\1/p; s/^[[:space:]]*\\(\\/[^ ]*\\) (.*/\\1/p') || return 1
  done
  guest_why="the modules of virtio disks are not there"
  guest_m=100
  for guest_f in $(modprobe --show-depends -a ${MODULES} 2>/dev/null | sed -n 's/^insmod \\([^ ]*\\).*/\\1/p' | awk '!seen[$0]++'); do
    guest_m=$((guest_m + 1)); guest_t=\${guest_f##*/}; guest_t="root/modules/$guest_m-\${guest_t%%.ko*}.ko"
    case $guest_f in
      *.xz) xz -dc "$guest_f" > "$guest_t";; *.zst) zstd -qdc "$guest_f" > "$guest_t";;
      *.gz) gzip -dc "$guest_f" > "$guest_t";; *) cp "$guest_f" "$guest_t";;
    esac || return 1
  done
  cat > root/init <<'BENCH_END'
${init}BENCH_END
  printf '#!/bin/sh\\necho @start > /dev/ttyS1\\n' > root/start
  printf '#!/bin/sh\\necho @stop > /dev/ttyS1\\n' > root/stop
  chmod 0755 root/init root/start root/stop
  guest_why="cpio can not pack it"
  (cd root && find . | cpio --quiet -o -H newc) > initrd 2>/dev/null || return 1
  rm -rf root
}
# CPUS RWS QEMU-OPTION…: starts one, \`guest_child\`; without rws it only boots and ends.
guest_start() {
  guest_n=$1 guest_rws=$2; shift 2
  : > guest.out
  timeout -k 5 "$((guest_limit + ${each}))" qemu-system-x86_64 -nodefaults -no-user-config -display none -no-reboot \\
    -machine q35,memory-backend=ram -accel "$guest_accel" -cpu "$guest_cpu" -smp "$guest_n" -m 512 \\
    -object memory-backend-memfd,id=ram,size=512M,share=on \\
    -kernel "/boot/vmlinuz-$guest_release" -initrd initrd -serial file:guest.log -serial file:guest.out \\
    -append "console=ttyS0 quiet panic=-1 no_timer_check bench.rws=$guest_rws bench.depth=$bench_depth bench.jobs=$guest_n bench.time=$bench_time" \\
    "$@" >qemu.log 2>qemu.err </dev/null 9>&- &
  guest_child=$!
  bench_helpers="$bench_helpers $guest_child"
  guest_end=$(($(date +%s) + guest_limit))
}
# WORD: waits for a line of the guest that begins so; false when it ends before, or takes too long.
guest_await() {
  while ! grep -q "^$1" guest.out; do
    bench_state "$guest_child" && [ "$bench_s" != Z ] || { grep -q "^$1" guest.out; return; }
    [ "$(date +%s)" -lt "$guest_end" ] || return 1
    bench_beat
  done
}
guest_stop() {
  for guest_p in $guest_child $guest_helper; do
    bench_stop "$guest_p"
    bench_helpers=$(echo "$bench_helpers" | sed "s/ $guest_p\\$//; s/ $guest_p / /")
  done
  guest_child= guest_helper=
}
# NAME COMMAND…: a process beside the guest that makes the socket NAME.sock.
guest_serve() {
  guest_s=$1; shift
  rm -f "$guest_s.sock"
  timeout -k 5 "$((guest_limit + ${each}))" "$@" >"$guest_s.log" 2>"$guest_s.err" </dev/null 9>&- &
  guest_helper=$!
  bench_helpers="$bench_helpers $guest_helper"
  for guest_k in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25; do
    [ -S "$guest_s.sock" ] && return
    bench_state "$guest_helper" && [ "$bench_s" != Z ] || break
    bench_beat
  done
  tail -c 600 "$guest_s.err" > qemu.err
  return 1
}
guest_vhost_user() {
  guest_start "$bench_n" ${rws} -chardev "socket,id=disk,path=$bench_work/$1.sock" \\
    -device "vhost-user-blk-pci,chardev=disk,num-queues=$bench_n,queue-size=256"
}
guest_way() {
  case $bench_way in
    virtio-blk)
      guest_start "$bench_n" ${rws} -object iothread,id=io \\
        -blockdev "driver=host_device,node-name=disk,filename=$disk,cache.direct=on,aio=native" \\
        -device "virtio-blk-pci,drive=disk,iothread=io,num-queues=$bench_n,queue-size=256";;
    vhost-user-blk)
      guest_serve qsd qemu-storage-daemon --object iothread,id=io \\
        --blockdev "driver=host_device,node-name=disk,filename=$disk,cache.direct=on,aio=native" --export \\
        "type=vhost-user-blk,id=export,node-name=disk,addr.type=unix,addr.path=$bench_work/qsd.sock,writable=on,num-queues=$bench_n,iothread=io" &&
        guest_vhost_user qsd;;
    vhost-blk)
      guest_serve bridge vhost-user-bridge --disk "$disk" --socket "$bench_work/bridge.sock" --queues "$bench_n" \\
        --workers "$bench_n" && guest_vhost_user bridge;;
  esac
}
guest_measure() {
  if guest_way && guest_await @ready; then guest_ok=1; else guest_ok=0; fi
  for bench_rw in $(echo ${rws} | tr , ' '); do
    if [ "$guest_ok" = 1 ]; then
      guest_end=$(($(date +%s) + bench_time + ${limits.spare}))
      guest_one || { guest_ok=0; bench_tell 1 sample; }
    else
      { cat qemu.err; tail -n 1 guest.log; } > sample.err 2>/dev/null
      bench_tell 1 sample
    fi
  done
  guest_stop
}
# WORD: waits for a mark behind the beginning of the measurement.
guest_mark() {
  until sed "1,/^@begin $bench_rw/d" guest.out | grep -q "^@$1"; do
    if ! bench_state "$guest_child" || [ "$bench_s" = Z ] || [ "$(date +%s)" -ge "$guest_end" ]; then
      echo "the guest ended, or hung" > sample.err
      return 1
    fi
    bench_beat
  done
}
# The times of all CPUs are read as the guest's marks are seen: late by less than a beat, both of them.
guest_one() {
  for guest_w in start stop end; do
    guest_mark "$guest_w" || return 1
    head -n 1 /proc/stat > "stat.$guest_w"
  done
  sed "1,/^@begin $bench_rw/d; /^@end/q" guest.out | tr -d '\\r' > part
  bench_rc=$(sed -n 's/^@end \\([0-9]*\\)$/\\1/p' part)
  grep -v '^@' part > part.json
  if [ "$bench_rc" = 0 ]; then cat stat.start stat.stop part.json > sample; else cp part.json sample.err; fi
  bench_tell "\${bench_rc:-1}" sample
}
`;
}
