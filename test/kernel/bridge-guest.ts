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

/**
 * QEMU of the disk /dev/DEVICE is the frontend, and the program a processor of its guest's, over qtest; then the firmware boots
 * the disk.
 */
export function qemuScript(device: string, kills: number): string {
  const machine = [
    'qemu-system-x86_64 -nodefaults -no-user-config -display none -accel tcg -m 32 -M q35,memory-backend=mem',
    `-chardev socket,id=blk,path=${SOCKET},$reconnect -device vhost-user-blk-pci,chardev=blk,num-queues=2`,
  ].join(' ');
  const memory = '-object memory-backend-file,id=mem,size=32M,mem-path=/tmp/memory,share=on';
  const console = '-chardev file,id=said,path=/tmp/said -device isa-debugcon,chardev=said,iobase=0xe9';
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
rm -f /tmp/memory ${SOCKET} /tmp/qtest
truncate -s 32M /tmp/memory
vhost-user-bridge-guest --socket ${SOCKET} --qtest /tmp/qtest --memory /tmp/memory --capacity ${SECTORS} --serial disk-a \\
	--cases requests,restart,storm --disk nullb0 --kills ${kills} -- ${bridge} --disk /dev/nullb0 --serial disk-a &
guest=$!
while [ ! -S ${SOCKET} ]; do sleep 0.1; done
cp /halt.bin /tmp
chroot $root ${machine},addr=4 ${memory} -bios /tmp/halt.bin -qtest unix:/tmp/qtest,server=on,wait=off &
qemu=$!
wait $guest
code=$?
kill $qemu
wait $qemu
[ $code = 0 ] || exit 1
dd if=/boot-sector of=/dev/nullb0 bs=512 count=1 conv=fsync 2>/dev/null
rm -f ${SOCKET} /tmp/said
${bridge} --disk /dev/nullb0 &
bridge=$!
while [ ! -S ${SOCKET} ]; do sleep 0.1; done
chroot $root ${machine},bootindex=0 ${memory} ${console} -device isa-debug-exit,iobase=0xf4,iosize=1
cat /tmp/said
kill $bridge
wait $bridge || exit 1
for folder in dev proc tmp sys; do umount $root/$folder; done
umount $root
`;
}

/** The module is of no use any more, and nothing of it is left. */
export const end = `rmmod vhost_blk && echo '@@unloaded'
`;
