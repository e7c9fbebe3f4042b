/**
 * Stands in for systemctl where a root has no running systemd: keeps the state of units vhost-blk@NAME in $STATE, starts one as the
 * bridge would (its disk must be there), and writes down what it was asked. A unit's process is a sleep that has the disk open.
 * A file NAME.guest is a frontend that is connected; NAME.comes is one that connects as soon as its socket is out of reach.
 */
export const STATE = '/var/lib/unit-stand-in';

export const systemctl = `#!/bin/sh
s=${STATE}
mkdir -p $s /run/vhost-blk
printf '%s\\n' "$*" >> $s/asked
verb=$1; shift
name() { n=\${1#vhost-blk@}; n=\${n%.service}; }
up() {
  disk=$(sed -n 's/^ *disk *= *//p' /etc/blkfleet/disks.d/$1.conf | tail -n 1)
  [ -e "$disk" ] || { echo failed > $s/$1.state; echo "Job for vhost-blk@$1.service failed" >&2; exit 1; }
  echo active > $s/$1.state
  echo "$disk" > $s/$1.disk
  perl -MIO::Socket::UNIX -e 'unlink $ARGV[0]; IO::Socket::UNIX->new(Local => $ARGV[0], Listen => 1) or die' /run/vhost-blk/$1.sock
}
case $verb in
start|restart) for u in "$@"; do name "$u"; up $n; done;;
stop) for u in "$@"; do case $u in vhost-blk@*) name "$u"; rm -f $s/$n.state $s/$n.disk;; esac; done;;
show)
  for u in "$@"; do
    case $u in vhost-blk@*) ;; *) continue;; esac
    name "$u"
    state=inactive sub=dead status= pid=0
    if [ -f $s/$n.comes ] && [ ! -S /run/vhost-blk/$n.sock ]; then mv $s/$n.comes $s/$n.guest; fi
    if [ -f $s/$n.state ]; then read -r state < $s/$n.state; fi
    if [ $state = active ]; then
      sub=running status='Waiting for a frontend.'
      if [ -f $s/$n.guest ]; then status='A frontend is connected.'; fi
      read -r disk < $s/$n.disk
      sleep 60 3< "$disk" > /dev/null 2>&1 &
      pid=$!
    fi
    printf 'Id=%s\\nMainPID=%s\\nActiveState=%s\\nSubState=%s\\nStatusText=%s\\n\\n' "$u" "$pid" "$state" "$sub" "$status"
  done;;
esac
exit 0
`;
