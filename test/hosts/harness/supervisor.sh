#!/bin/sh
# Holds a fleet together: process 1 of the fleet's own pid, mount and network namespaces. It starts hosts as its stdin
# says, and when stdin ends - also when the test is killed - everything ends with it.
# Arguments: the fleet's folder, the layers under the hosts' own.
set -u
folder=$1 root=$2
here=${0%/*}

mount -t tmpfs -o mode=755,size=80% tmpfs "$folder/mnt" || exit 1
mkdir -p /run/netns && mount -t tmpfs tmpfs /run/netns && : >/run/netns/fleet &&
  mount --bind /proc/self/ns/net /run/netns/fleet || exit 1
ip -batch - <<END || exit 1
link set lo up
link add br0 type bridge
link set br0 up
address add 10.77.0.1/16 dev br0
END
# /proc is still the machine's: this is the process number that the test sees.
read -r pid rest </proc/self/stat
echo "up supervisor $pid"

while read -r word name address; do
  case $word in
    start)
      unshare --mount --uts --ipc --net --pid --fork --kill-child=KILL --propagation private \
        sh "$here/host-init.sh" "$folder" "$root" "$name" "$address" </dev/null &
      ;;
    serve)
      "$name" "$here/repository-server.mjs" "$address" 10.77.0.1 80 </dev/null &
      ;;
  esac
done

kill -KILL -1
wait
umount -l "$folder/mnt"
rm -rf "$folder"
