/** What is done in the guest of a bridge's test, as sh. */

const SOCKET = '/tmp/disk-a.sock';

/** 64 MiB of null_blk whose requests take 3 ms each: some are in flight whenever the bridge dies. */
const SECTORS = 131_072;

const bridge = `/sbin/vhost-user-bridge --socket ${SOCKET} --queues 2 --user nobody --group kvm --socket-group kvm`;

/** Loads the module and makes the disk; the bridge's user is there. */
export const prelude = `mount -t configfs configfs /sys/kernel/config
insmod /vhost_blk.ko || exit 1
disk=/sys/kernel/config/nullb/nullb0
mkdir $disk
for setting in memory_backed=1 size=64 blocksize=512 discard=1 irqmode=2 completion_nsec=3000000 power=1; do
	echo "\${setting#*=}" >"$disk/\${setting%%=*}"
done
mkdir -p /etc
echo 'nobody:x:65534:65534::/:/bin/sh' >/etc/passwd
echo 'kvm:x:105:' >/etc/group
`;

/** The program is the frontend itself. */
export function aloneScript(kills: number): string {
  const guest = `vhost-user-bridge-guest --socket ${SOCKET}`;
  const disk = `--capacity ${SECTORS} --serial disk-a`;
  const grow = 'truncate -s 64M /tmp/file; losetup -c /dev/loop0';
  return `${guest} ${disk} --cases requests,restart,protocol -- ${bridge} --disk /dev/nullb0 --serial disk-a || exit 1
${guest} --cases storm --kills ${kills} --disk nullb0 -- ${bridge} --disk /dev/nullb0 || exit 1
truncate -s 32M /tmp/file
losetup /dev/loop0 /tmp/file
${guest} --cases resize --grow '${grow}' --grown ${SECTORS} -- ${bridge} --disk /dev/loop0 || exit 1
${guest} --cases read-only --capacity ${SECTORS} -- ${bridge} --disk /dev/loop0 --read-only yes || exit 1
# A disk that somebody has is not taken, and one that can not be a disk is said so.
${bridge} --disk /dev/loop0 &
first=$!
while [ ! -S ${SOCKET} ]; do sleep 0.1; done
grep -E '^(Uid|Gid|CapEff|NoNewPrivs|Seccomp):' /proc/$first/status
${bridge} --socket /tmp/other.sock --disk /dev/loop0 && exit 1
${bridge} --socket /tmp/other.sock --disk /dev/null && exit 1
kill $first
wait $first || exit 1
`;
}

const qemu =
  'qemu-system-x86_64 -nodefaults -no-user-config -display none -accel tcg -m 32 -M q35,memory-backend=mem';
const haltingFirmware = '-bios /tmp/halt.bin -qtest-log /dev/null';

/** Files over which a QEMU and the program meet: each has its own. */
function meeting(name: string) {
  return { socket: `/tmp/${name}.sock`, memory: `/tmp/${name}.memory`, qtest: `/tmp/${name}.qtest` };
}

function machine({ socket, memory }: ReturnType<typeof meeting>, place: string): string {
  return [
    `chroot $root ${qemu} -object memory-backend-file,id=mem,size=32M,mem-path=${memory},share=on`,
    `-chardev socket,id=blk,path=${socket},$reconnect -device vhost-user-blk-pci,chardev=blk,num-queues=2,${place}`,
  ].join(' ');
}

/**
 * QEMU of the disk /dev/DEVICE is the frontend, and the program a processor of its guest's, over qtest. The firmware boots a disk;
 * a guest whose disk grows is migrated to a second QEMU.
 */
export function qemuScript(device: string, kills: number): string {
  const [a, b] = [meeting('disk-a'), meeting('disk-b')];
  const console = '-chardev file,id=said,path=/tmp/said -device isa-debugcon,chardev=said,iobase=0xe9';
  const shared = '--queues 2 --user nobody --group kvm --socket-group kvm --disk /dev/loop0 --shared yes';
  const grow = 'truncate -s 64M /tmp/file; losetup -c /dev/loop0';
  return `root=/${device}
mkdir $root
mount -o ro /dev/${device} $root || exit 1
for folder in dev proc tmp sys; do mount --bind /$folder $root/$folder; done
version=$(chroot $root qemu-system-x86_64 --version | sed -n 's/.*version \\([0-9.]*\\).*/\\1/p')
echo "@@qemu $version"
case $version in
7.*) reconnect=reconnect=1 ;;
*) reconnect=reconnect-ms=50 ;;
esac
cp /halt.bin /tmp
appears() { while [ ! -S $1 ]; do sleep 0.1; done; }
ended() { kill $1 2>/dev/null; wait $1; }

truncate -s 32M ${a.memory}
vhost-user-bridge-guest --socket ${a.socket} --qtest ${a.qtest} --memory ${a.memory} --capacity ${SECTORS} --serial disk-a \\
	--cases requests,restart,storm --disk nullb0 --kills ${kills} -- ${bridge} --disk /dev/nullb0 --serial disk-a &
guest=$!
appears ${a.socket}
${machine(a, 'addr=4')} ${haltingFirmware} -qtest unix:${a.qtest},server=on,wait=off &
qemu=$!
wait $guest || failed=1
ended $qemu

dd if=/boot-sector of=/dev/nullb0 bs=512 count=1 conv=fsync 2>/dev/null
rm -f ${a.socket}
${bridge} --disk /dev/nullb0 &
bridge=$!
appears ${a.socket}
${machine(a, 'bootindex=0')} ${console} -device isa-debug-exit,iobase=0xf4,iosize=1
cat /tmp/said
ended $bridge || failed=1

truncate -s 32M /tmp/file ${b.memory}
losetup /dev/loop0 /tmp/file
rm -f ${a.socket} ${a.qtest}
/sbin/vhost-user-bridge --socket ${b.socket} ${shared} &
bridge=$!
appears ${b.socket}
${machine(b, 'addr=4')} ${haltingFirmware} -qtest unix:${b.qtest},server=on,wait=off -incoming unix:/tmp/incoming &
destination=$!
appears /tmp/incoming
vhost-user-bridge-guest --socket ${a.socket} --qtest ${a.qtest} --memory ${a.memory} --capacity 65536 --cases resize,migrate \\
	--grow '${grow}' --grown ${SECTORS} --monitor /tmp/monitor --to unix:/tmp/incoming --to-qtest ${b.qtest} --to-memory ${b.memory} \\
	-- /sbin/vhost-user-bridge --socket ${a.socket} ${shared} &
guest=$!
appears ${a.socket}
${machine(a, 'addr=4')} ${haltingFirmware} -qtest unix:${a.qtest},server=on,wait=off -monitor unix:/tmp/monitor,server=on,wait=off &
qemu=$!
wait $guest || failed=1
ended $qemu
ended $destination
ended $bridge || failed=1
losetup -d /dev/loop0

for folder in dev proc tmp sys; do umount $root/$folder; done
umount $root
[ -z "$failed" ] || exit 1
`;
}

/** The module is of no use any more, and nothing of it is left. */
export const end = `rmmod vhost_blk && echo '@@unloaded'
`;
