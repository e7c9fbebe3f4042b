#!/bin/sh
# Makes one host and becomes its sshd, process 1 of the host's namespaces.
# Arguments: the fleet's folder, the layers under the hosts' own, the host's name, its address.
set -eu
folder=$1 root=$2 name=$3 address=$4
host=$folder/mnt/$name
exec 2>>"$folder/log/$name"

mkdir -p "$host/upper" "$host/work" "$host/root"
mount -t overlay -o "lowerdir=$folder/layer/$name:$folder/layer/common:$root,upperdir=$host/upper,workdir=$host/work" \
  overlay "$host/root"
# A host that was stopped leaves its cable until the kernel has cleared its namespace away.
ip -netns fleet link delete "$name" 2>/dev/null || :
# The same hardware address each time: the others remember it.
mac=$(IFS=. && set -- $address && printf '02:00:%02x:%02x:%02x:%02x' "$@")
ip -batch - <<END
link set lo up
link add eth0 address $mac type veth peer name $name netns fleet
address add $address/16 dev eth0
link set eth0 up
END
ip -netns fleet link set "$name" master br0 up
echo "$name" >/proc/sys/kernel/hostname
# /proc is still the machine's: this is the process number that the test sees, and sshd keeps it.
read -r pid rest </proc/self/stat

cd "$host/root"
mount -t proc proc proc
# A test must not turn the knobs of the machine's kernel.
mount --bind proc/sys proc/sys
mount -o remount,bind,ro proc/sys
mount -t sysfs -o ro sysfs sys
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
mount -t tmpfs -o mode=755 tmpfs run
mkdir -p run/sshd
mkdir -m 1777 run/lock
pivot_root . mnt
echo "up $name $pid"
exec chroot . sh -c 'umount -l /mnt; exec /usr/sbin/sshd -D -e >/dev/null'
