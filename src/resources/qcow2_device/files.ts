import { createHash } from 'node:crypto';
import type { Qcow2DeviceDesired } from './schema.ts';

/** Folders and files on a host. Names of devices hold only [A-Za-z0-9._-]. */
export const CONFIGS = '/etc/blkfleet/qcow2.d';
/** what was attached, a file a device; they go with the boot, as the devices do */
export const NOTES = '/run/blkfleet/qcow2';
export const HELPER = '/usr/local/lib/blkfleet/qcow2-device';
export const TOOL = '/usr/local/sbin/blkfleet-qcow2';
export const MODULE = 'dm_qcow2';
export const WANTS = '/etc/systemd/system/multi-user.target.wants';

export const configPath = (name: string) => `${CONFIGS}/${name}.conf`;
export const notePath = (name: string) => `${NOTES}/${name}`;
export const unitName = (name: string) => `blkfleet-qcow2-${name}.service`;
export const unitPath = (name: string) => `/etc/systemd/system/${unitName(name)}`;
export const wantsPath = (name: string) => `${WANTS}/${unitName(name)}`;

export interface OurFile {
  path: string;
  mode: number;
  bytes: Buffer;
  sha256: string;
}

/** What the helper attaches, a `KEY VALUE` line each: no value holds a line break, and nothing evaluates one. */
export function configFile({ name, image, read_only, base, cache_kib }: Qcow2DeviceDesired): OurFile {
  const lines = [
    `image ${image}`,
    `read_only ${read_only ? 'yes' : 'no'}`,
    ...base.map((folder) => `base ${folder}`),
    `cache_kib ${cache_kib}`,
  ];
  return ourFile(configPath(name), 0o644, `# Part of blkfleet.\n${lines.join('\n')}\n`);
}

/**
 * Attaches once the image's file system is there and detaches before that goes; guests start after it and stop before.
 * It asserts the module, since the kernel would load it by itself for the table: also one that its guard has quarantined.
 */
export function unitFile({ name, image }: Qcow2DeviceDesired): OurFile {
  return ourFile(
    unitPath(name),
    0o644,
    `# Part of blkfleet.
[Unit]
Description=QCOW2 image as the block device /dev/mapper/${name}
RequiresMountsFor="${image!.replaceAll('%', '%%')}"
Wants=blkfleet-load-${MODULE}.service
After=local-fs.target blkfleet-load-${MODULE}.service
Before=libvirtd.service virtqemud.service libvirt-guests.service
AssertPathIsDirectory=/sys/module/${MODULE}

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=${HELPER} start ${name}
ExecStop=${HELPER} stop ${name}
TimeoutStartSec=120
TimeoutStopSec=120

[Install]
WantedBy=multi-user.target
`,
  );
}

export function helperFile(): OurFile {
  return helper;
}

function ourFile(path: string, mode: number, text: string): OurFile {
  const bytes = Buffer.from(text);
  return { path, mode, bytes, sha256: createHash('sha256').update(bytes).digest('hex') };
}

/**
 * The note tells later probes which file is attached: the kernel knows its inode alone, which other file systems have too.
 * Whoever has a device open keeps it (DM_DEV_REMOVE of an open one is EBUSY); udev opens each for a moment.
 */
const helper = ourFile(
  HELPER,
  0o755,
  `#!/bin/sh
# Part of blkfleet: attaches a QCOW2 image as ${CONFIGS}/NAME.conf says, or detaches it.
# Arguments: start | stop, name.
set -u
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C
export PATH LC_ALL
umask 022
verb=\${1-} name=\${2-}
case $name in ''|[!A-Za-z0-9]*|*[!A-Za-z0-9._-]*) echo "not a device's name: $name" >&2; exit 64;; esac
config=${CONFIGS}/$name.conf note=${NOTES}/$name
die() { printf '%s\\n' "$*" >&2; exit 1; }
# absent, ours or foreign: by the target of its table.
kind() {
  table=$(dmsetup table "$name" 2>/dev/null) || { echo absent; return 0; }
  case $table in *'
'*) echo foreign;; [0-9]*' '[0-9]*' qcow2 '*) echo ours;; *) echo foreign;; esac
}
forget() {
  rm -f "$note"
  rmdir ${NOTES} ${NOTES.replace(/\/[^/]*$/, '')} 2>/dev/null || :
}
remember() {
  for node in /sys/block/dm-*; do
    { IFS= read -r line < "$node/dm/name"; } 2>/dev/null || continue
    [ "$line" = "$name" ] || continue
    seq=-
    { read -r seq < "$node/diskseq"; } 2>/dev/null || :
    mkdir -p ${NOTES}
    printf 'node %s\\ndiskseq %s\\nfile %s\\nimage %s\\n' "\${node##*/}" "$seq" "$(stat -L -c %d:%i -- "$image")" "$image" > "$note.new"
    mv -f "$note.new" "$note"
    return 0
  done
}
explain() {
  case $said in
    *'in use by another process'*) echo 'QEMU, qemu-img or another device has it open: end that first (lsof tells which), or attach it with read_only where both only read';;
    *'the kernel refuses the image'*)
      why=$(dmesg 2>/dev/null | grep -a 'qcow2: ' | tail -n 1)
      printf '%s\\n' "\${why#*device-mapper: }"
      case $why in *'qemu-img check'*) echo "repair it while nothing uses it: qemu-img check -r all $image";; esac;;
    *'--base'*) echo 'what an image names is opened only beside it and below the folders of base';;
  esac
}
start() {
  case $(kind) in
    ours) echo "/dev/mapper/$name is attached already"; exit 0;;
    foreign) die "/dev/mapper/$name is there, and no device of the target qcow2";;
  esac
  [ -r "$config" ] || die "$config is not there"
  [ -d /sys/module/${MODULE} ] || die '${MODULE} is not loaded: a task before this one has to load it (kernel_module); is it quarantined?'
  [ -x ${TOOL} ] || die '${TOOL} is not there: a task before this one has to install it'
  image=
  set --
  while IFS= read -r line; do
    value=\${line#* }
    case $line in
      'image '*) image=$value;;
      'read_only yes') set -- "$@" --ro;;
      'base '*) set -- "$@" --base "$value";;
      'cache_kib '*) set -- "$@" --cache-kib "$value";;
    esac
  done < "$config"
  [ -e "$image" ] || die "the image $image is not there: a task before this one has to make it"
  said=$(${TOOL} attach "$image" --name "$name" "$@" 2>&1) || { printf '%s\\n' "$said" >&2; explain >&2; exit 1; }
  printf '%s\\n' "$said"
  remember
}
stop() {
  tries=0
  while :; do
    case $(kind) in
      absent) forget; exit 0;;
      foreign) exit 0;;
    esac
    if [ -x ${TOOL} ]; then said=$(${TOOL} detach "$name" 2>&1); else said=$(dmsetup remove "$name" 2>&1); fi && continue
    tries=$((tries + 1))
    case $said in *busy*) [ "$tries" -le 20 ] || die "$said: /dev/mapper/$name is in use";; *) die "$said";; esac
    sleep 0.5
  done
}
case $verb in start) start;; stop) stop;; *) echo "not a verb: $verb" >&2; exit 64;; esac
exit 0
`,
);
