import { libvirtDaemon } from '../setup/libvirt-daemon.ts';

/** A Linux guest inside the guest of a bridge's test: what it does with its disk, and who starts it, as sh. */

/** Sectors of the disk, and of the disk that has grown. */
export const SECTORS = 131_072;
export const GROWN_SECTORS = 196_608;
export const QUEUES = 2;
export const ROUNDS = 8;

const MEMORY_MB = 192;
const SOCKET = '/tmp/disk-a.sock';
const NEXT_SOCKET = '/tmp/disk-b.sock';
const MONITOR_PORT = 4444;
const MIGRATION_PORT = 4445;

/** Modules of the inner guest. */
export const innerModules = ['virtio_pci', 'virtio_blk', 'crc32c_generic', 'ext4'];

/**
 * Run by the inner guest. It makes a file system, writes files and reads them back from the disk, in rounds between which
 * others may take the bridge away; at the end it trims. Each step is told as a line that begins with @@.
 * @param grows it waits until the disk has become larger
 */
export function innerScript(grows: boolean): string {
  return `disk=/sys/block/vda
sectors=$(cat $disk/size)
echo "@@sectors $sectors"
echo "@@queues $(ls $disk/mq | wc -l)"
mke2fs /dev/vda >/dev/null 2>&1 || exit 1
mkdir /disk
mount -t ext2 /dev/vda /disk || exit 1
# Eight files with their sums; the older ones must still be what they were.
put() {
	dd if=/dev/urandom of=/disk/$1 bs=64k count=16 2>/dev/null || return 1
	grep -v "/disk/$1\\$" /tmp/sums >/tmp/others
	md5sum /disk/$1 >>/tmp/others
	mv /tmp/others /tmp/sums
}
verify() {
	sync
	echo 3 >/proc/sys/vm/drop_caches
	md5sum -c /tmp/sums >/tmp/verified 2>&1 || { cat /tmp/verified; return 1; }
}
touch /tmp/sums
round=0
while [ $round -lt ${ROUNDS} ]; do
	put file-$((round % 4)) && put file-$((round % 4 + 4)) && verify || exit 1
	round=$((round + 1))
	echo "@@round $round"
done
echo "@@verified $(wc -l </tmp/sums)"
${
  grows
    ? `while [ "$(cat $disk/size)" = "$sectors" ]; do usleep 100000; done
echo "@@grown $(cat $disk/size)"
verify || exit 1`
    : ''
}
rm /disk/file-*
sync
fstrim -v /disk && echo "@@trimmed"
umount /disk
dmesg | grep -E 'I/O error|blocked for more than|BUG:|Oops|WARNING:' && exit 1
echo "@@done"
`;
}

const bridge = (socket: string) =>
  `/sbin/vhost-user-bridge --socket ${socket} --queues ${QUEUES} --user nobody --group kvm --socket-group kvm`;

/** Mounts the disk with QEMU and its libraries as /qemu. */
const mountRoot = (device: string) => `mkdir -p /qemu
mount -o ro /dev/${device} /qemu || exit 1
`;

const shareFolders = `for folder in dev proc tmp sys; do mount --bind /$folder /qemu/$folder; done
cp /inner/* /tmp
ip link set lo up
ended() { kill $1 2>/dev/null; wait $1; }
# Waits for a line of the inner guest; gives up when the process of number $3 is gone.
told() {
	until grep -q "^@@$1" $2 2>/dev/null; do
		[ -z "$3" ] || [ -d /proc/$3 ] || { echo "not ok - the inner guest ended before it told $1"; cat $2 /tmp/console*; exit 1; }
		sleep 0.2
	done
}
appears() { while [ ! -S $1 ]; do sleep 0.1; done; }
# What the guest $1 tells, told on; $2 is its process.
finished() {
	told done $1 $2
	wait $2
	grep '^@@' $1
}
`;

const tidyUp = `for folder in dev proc tmp sys; do umount /qemu/$folder; done
umount /qemu
`;

const append = 'console=ttyS0 quiet panic=-1 no_timer_check mitigations=off';

function qemu(socket: string, name: string, initrd: string, more = ''): string {
  return [
    `chroot /qemu qemu-system-x86_64 -nodefaults -no-user-config -display none -no-reboot -accel tcg,thread=multi -cpu max`,
    `-smp ${QUEUES} -m ${MEMORY_MB} -M q35,memory-backend=mem -object memory-backend-memfd,id=mem,size=${MEMORY_MB}M,share=on`,
    `-kernel /tmp/vmlinuz -initrd /tmp/${initrd} -append '${append}'`,
    `-chardev socket,id=blk,path=${socket},reconnect-ms=100 -device vhost-user-blk-pci,chardev=blk,num-queues=${QUEUES}`,
    `-serial file:/tmp/console-${name} -serial file:/tmp/out-${name} ${more}`,
  ].join(' ');
}

/** Kills the bridge and starts it again while the guest writes: after each round that it tells. */
const restarts = (start: string) => `restarts=0
seen=0
until grep -q '^@@verified' $out; do
	[ -d /proc/$qemu ] || { echo 'not ok - the inner guest ended early'; cat $out /tmp/console*; exit 1; }
	now=$(grep -c '^@@round' $out)
	if [ $now -gt $seen ]; then
		seen=$now
		usleep $((RANDOM * 20))
		kill -9 $bridge
		wait $bridge 2>/dev/null
		${start} &
		bridge=$!
		restarts=$((restarts + 1))
	fi
	sleep 0.1
done
echo "@@restarts $restarts"
`;

/** The bridge serves a guest of QEMU, and is killed again and again. */
const served = (start: string, name: string, initrd: string) => `${start} &
bridge=$!
appears ${SOCKET}
out=/tmp/out-${name}
${qemu(SOCKET, name, initrd)} &
qemu=$!
told sectors $out $qemu
${restarts(start)}`;

/** The chain ends in a file: bridge, vhost_blk, loop. The bridge dies again and again, the disk grows, the file shrinks. */
export function loopScript(device: string): string {
  const start = `${bridge(SOCKET)} --disk /dev/loop0`;
  return `${mountRoot(device)}${shareFolders}
truncate -s $((${SECTORS} * 512)) /tmp/file
losetup /dev/loop0 /tmp/file
${served(start, 'loop', 'growing')}
truncate -s $((${GROWN_SECTORS} * 512)) /tmp/file
losetup -c /dev/loop0
told grown $out $qemu
full=$(stat -c %b /tmp/file)
finished $out $qemu
[ $(stat -c %b /tmp/file) -lt $((full / 2)) ] && echo '@@shrunk'
ended $bridge || exit 1
losetup -d /dev/loop0
${tidyUp}`;
}

/** The chain ends in a QCOW2 image: bridge, vhost_blk, dm-qcow2. */
export function qcow2Script(device: string): string {
  const start = `${bridge(SOCKET)} --disk "$disk"`;
  return `${mountRoot(device)}${shareFolders}
insmod /dm_qcow2.ko || exit 1
cp /image.qcow2 /tmp/image.qcow2
disk=$(blkfleet-qcow2 attach /tmp/image.qcow2 --name inner) || exit 1
${served(start, 'qcow2', 'steady')}
finished $out $qemu
ended $bridge || exit 1
blkfleet-qcow2 detach inner || exit 1
rmmod dm_qcow2 || exit 1
blkfleet-qcow2 check /tmp/image.qcow2 && echo '@@sound'
${tidyUp}`;
}

/** The guest goes on in a second QEMU, with the same disk by another bridge, while it writes. */
export function migrationScript(device: string): string {
  const shared = '--disk /dev/loop0 --shared yes';
  const ask = (command: string) => `echo '${command}' | nc -w 1 127.0.0.1 ${MONITOR_PORT}`;
  return `${mountRoot(device)}${shareFolders}
truncate -s $((${SECTORS} * 512)) /tmp/file
losetup /dev/loop0 /tmp/file
${bridge(SOCKET)} ${shared} &
source_bridge=$!
${bridge(NEXT_SOCKET)} ${shared} &
bridge=$!
appears ${SOCKET}
appears ${NEXT_SOCKET}
${qemu(NEXT_SOCKET, 'destination', 'steady', `-incoming tcp:127.0.0.1:${MIGRATION_PORT}`)} &
destination=$!
${qemu(SOCKET, 'source', 'steady', `-monitor tcp:127.0.0.1:${MONITOR_PORT},server=on,wait=off`)} &
source=$!
told 'round 2' /tmp/out-source $source
${ask('migrate_set_parameter downtime-limit 2000')} >/dev/null
${ask(`migrate -d tcp:127.0.0.1:${MIGRATION_PORT}`)} >/dev/null
until ${ask('info migrate')} | tee /tmp/migrate | grep -q 'completed'; do
	grep -q failed /tmp/migrate && { cat /tmp/migrate; exit 1; }
	[ -d /proc/$source ] || exit 1
	sleep 0.3
done
echo "@@migrated behind round $(grep -c '^@@round' /tmp/out-source)"
ended $source
ended $source_bridge || exit 1
finished /tmp/out-destination $destination
ended $bridge || exit 1
losetup -d /dev/loop0
${tidyUp}`;
}

const domain = `<domain type='qemu'>
  <name>inner</name>
  <memory unit='MiB'>${MEMORY_MB}</memory>
  <vcpu>${QUEUES}</vcpu>
  <memoryBacking><source type='memfd'/><access mode='shared'/></memoryBacking>
  <os>
    <type arch='x86_64' machine='q35'>hvm</type>
    <kernel>/tmp/vmlinuz</kernel>
    <initrd>/tmp/steady</initrd>
    <cmdline>${append}</cmdline>
  </os>
  <cpu mode='maximum'/>
  <on_reboot>destroy</on_reboot>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <disk type='vhostuser' device='disk'>
      <driver name='qemu' type='raw' queues='${QUEUES}'/>
      <source type='unix' path='${SOCKET}'><reconnect enabled='yes' timeout='1'/></source>
      <target dev='vda' bus='virtio'/>
    </disk>
    <serial type='file'><source path='/tmp/console-libvirt'/><target port='0'/></serial>
    <serial type='file'><source path='/tmp/out-libvirt'/><target port='1'/></serial>
    <memballoon model='none'/>
  </devices>
</domain>
`;

/** The guest is a domain of libvirt. Its root is written beside the disk. */
export function libvirtScript(device: string): string {
  const start = `${bridge(SOCKET)} --disk /dev/loop0`;
  return `mkdir -p /lower /over /qemu
mount -o ro /dev/${device} /lower || exit 1
mount -t tmpfs tmpfs /over
mkdir /over/upper /over/work
mount -t overlay overlay -o lowerdir=/lower,upperdir=/over/upper,workdir=/over/work /qemu || exit 1
${shareFolders}
mount -t tmpfs tmpfs /qemu/run
mkdir -p /dev/shm /dev/pts
mount -t devpts devpts /dev/pts
truncate -s $((${SECTORS} * 512)) /tmp/file
losetup /dev/loop0 /tmp/file
${start} &
bridge=$!
appears ${SOCKET}
out=/tmp/out-libvirt
cat >/tmp/domain.xml <<'end_of_domain'
${domain}end_of_domain
cat >/tmp/start <<'end_of_start'
${libvirtDaemon}
virsh -q -c qemu:///system create /tmp/domain.xml || { cat /var/log/libvirt/qemu/*; exit 1; }
cat /run/libvirt/qemu/inner.pid >/tmp/pid
end_of_start
chroot /qemu sh /tmp/start || exit 1
qemu=$(cat /tmp/pid)
told sectors $out $qemu
${restarts(start)}
told done $out $qemu
while [ -d /proc/$qemu ]; do sleep 0.2; done
grep '^@@' $out
ended $bridge || exit 1
losetup -d /dev/loop0
kill $(cat /qemu/run/libvirtd.pid)
umount /dev/pts
umount /qemu/run
`;
}
