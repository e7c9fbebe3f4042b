/**
 * sh functions that tell whether a disk may be written over; they only read.
 *
 * `disk_find PATH` sets `disk` to the device node behind a path and `disk_name` to its name in /sys/class/block.
 * `disk_reasons` prints a line for each reason why `disk` must be left alone, and nothing where it is empty and free:
 * it is mounted, swap, has partitions or holders (LVM, RAID, dm-crypt, multipath), carries a signature (libblkid's, as
 * wipefs(8) lists them), is read-only or too small, cannot be had for oneself (O_EXCL, open(2)), or a process has it open:
 * QEMU does not claim the disks of its guests. What can not be found out is a reason, too.
 *
 * `disk_openers` prints `NAME (PID)` of up to four processes that have `disk` open, by whatever node under their /dev.
 */
export const diskCheck = `
disk_find() {
  disk=$(readlink -f -- "$1") && [ -b "$disk" ] || { disk=; return 1; }
  disk_name=\${disk##*/}
  disk_number=$(stat -c '%t:%T' "$disk") && disk_number=$((0x\${disk_number%%:*})):$((0x\${disk_number##*:}))
  # Nodes of device-mapper and others need not have the kernel's name.
  for disk_d in /sys/class/block/*; do
    read -r disk_n < "$disk_d/dev" && [ "$disk_n" = "$disk_number" ] && { disk_name=\${disk_d##*/}; return 0; }
  done 2>/dev/null
  return 1
}
disk_openers() {
  perl -e 'my ($mode, $number) = (stat $ARGV[0])[2, 6]; my %seen;
    for my $fd (glob "/proc/[0-9]*/fd/*") {
      # What is not under /dev is not looked at further: a file on a network that is gone would be waited for.
      next unless (readlink($fd) // "") =~ m{^/dev/};
      my ($m, $n) = (stat $fd)[2, 6];
      next unless defined $m && $m >> 12 == $mode >> 12 && $n == $number;
      my ($pid) = $fd =~ m{(\\d+)};
      next if $seen{$pid}++ || keys %seen > 4;
      open(my $f, "<", "/proc/$pid/comm") or next;
      my $name = <$f> // "";
      $name =~ tr/!-~//cd;
      print "$name ($pid)\\n";
    }' "$disk"
}
disk_reasons() {
  disk_sys=/sys/class/block/$disk_name
  case $disk in
    *[!A-Za-z0-9._+@/-]*) echo "fio and QEMU would take its name apart: $disk";;
  esac
  for disk_d in "$disk_sys"/*/partition; do
    [ -e "$disk_d" ] && { echo "it has partitions"; break; }
  done
  for disk_d in "$disk_sys"/holders/*; do
    [ -e "$disk_d" ] && echo "it is part of \${disk_d##*/}"
  done
  while read -r disk_i disk_p disk_n disk_r disk_at disk_more; do
    [ "$disk_n" = "$disk_number" ] && { echo "it is mounted on $disk_at"; break; }
  done < /proc/self/mountinfo
  # A file system of several devices has a number of its own.
  while read -r disk_d disk_at disk_more; do
    case $disk_d in /dev/*) ;; *) continue;; esac
    [ "$(readlink -f -- "$disk_d" 2>/dev/null)" = "$disk" ] && { echo "it is mounted on $disk_at"; break; }
  done < /proc/mounts
  while read -r disk_d disk_more; do
    case $disk_d in /dev/*) ;; *) continue;; esac
    [ "$(readlink -f -- "$disk_d")" = "$disk" ] && { echo "it is swap space in use"; break; }
  done < /proc/swaps
  read -r disk_n < "$disk_sys/ro" && [ "$disk_n" = 0 ] || echo "it is read-only"
  read -r disk_sectors < "$disk_sys/size" && [ "$disk_sectors" -ge 32768 ] || echo "it is smaller than 16 MiB"
  if ! disk_types=$(wipefs --no-act --noheadings --output TYPE -- "$disk" 2>/dev/null); then
    echo "wipefs can not tell what it holds"
  elif [ -n "$disk_types" ]; then
    echo "it holds data: "$disk_types
  else
    disk_types=$(blkid -p -o value -s TYPE -s PTTYPE -- "$disk" 2>/dev/null); disk_rc=$?
    # 2: nothing there (blkid(8)).
    [ "$disk_rc" = 2 ] || echo "it holds data: "\${disk_types:-"blkid ended with $disk_rc"}
  fi
  if command -v perl >/dev/null 2>&1; then
    disk_why=$(perl -e 'use Fcntl; sysopen(my $f, $ARGV[0], O_RDONLY | O_EXCL) or print "$!\\n"' "$disk" 2>&1)
    [ -z "$disk_why" ] || echo "it is in use: $disk_why"
    disk_who=$(disk_openers) || echo "who has it open can not be told"
    [ -z "$disk_who" ] || echo "$disk_who" | sed 's/^/it is open in /'
  else
    echo "whether it is in use can not be told: there is no perl"
  fi
}
`;
