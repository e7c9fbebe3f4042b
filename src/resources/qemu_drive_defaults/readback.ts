import { shellWords } from '../../lib/shell.ts';
import { CONF, SEEN } from './paths.ts';
import { properties } from './profile.ts';
import type { QemuDriveDefaults } from './schema.ts';

/** vCPUs of the throw-away machine: what num-queues reads as where QEMU makes a queue a vCPU. An unusual number. */
export const TRIAL_VCPUS = 7;
/** Cap on what one QEMU may print, in bytes, and on its life, in seconds. */
const MAX_OUTPUT = 65_536;
const TRIAL_SECONDS = 20;
/** A larger qemu.conf is not read. */
export const MAX_CONF = 65_536;

const command = (execute: string, id: string, more = '') => `{"execute":"${execute}","id":"${id}"${more}}`;

/** What is asked of a QEMU: the values of a disk that was given none, which devices it has, and what these can. */
const questions = [
  command('qmp_capabilities', 'hello'),
  ...properties.map((property) =>
    command(
      'qom-get',
      `virtio-blk-pci.${property}`,
      `,"arguments":{"path":"/machine/peripheral/bf","property":"${property}"}`,
    ),
  ),
  command('device-list-properties', 'vhost-blk-pci', ',"arguments":{"typename":"vhost-blk-pci"}'),
  command('qom-list-types', 'vhost-user-blk-pci', ',"arguments":{"implements":"vhost-user-blk-pci"}'),
  command(
    'qom-get',
    'iothread-vq-mapping',
    ',"arguments":{"path":"/machine/peripheral/bf","property":"iothread-vq-mapping"}',
  ),
  command('query-command-line-options', 'chardev', ',"arguments":{"option":"chardev"}'),
  command('quit', 'bye'),
];

/**
 * Functions of sh, for probes and steps. No guest runs and nothing is written: the machine is made stopped, by TCG, with
 * a disk that holds nothing, told by QMP what is asked, and ended.
 *
 * `_find` sets qemu_drive_defaults_bins to the programs there are. `_fingerprint` sets _key to what they and qemu.conf are now.
 * `_plain FILE` is true where FILE holds defaults only: any other group could open a disk or make a network device.
 * `_trial PROGRAM ARG…` starts one and prints its answers. `_see` prints what every program sees.
 */
export function readBackFunctions({ binaries }: QemuDriveDefaults): string {
  return `qemu_drive_defaults_arch=$(uname -m)
qemu_drive_defaults_find() {
  case $qemu_drive_defaults_arch in
    x86_64) qemu_drive_defaults_machine='q35 -m 16';;
    aarch64) qemu_drive_defaults_machine='virt -cpu max -m 64';;
    ppc64le) qemu_drive_defaults_machine='pseries -m 256';;
    riscv64) qemu_drive_defaults_machine='virt -m 64';;
    *) qemu_drive_defaults_machine=;;
  esac
  qemu_drive_defaults_n=$qemu_drive_defaults_arch
  case $qemu_drive_defaults_n in ppc64le) qemu_drive_defaults_n=ppc64;; esac
  qemu_drive_defaults_bins=
  for qemu_drive_defaults_b in ${
    binaries
      ? shellWords(binaries)
      : '"/usr/bin/qemu-system-$qemu_drive_defaults_n" /usr/libexec/qemu-kvm /usr/bin/qemu-kvm'
  }; do
    if [ ! -f "$qemu_drive_defaults_b" ] || [ ! -x "$qemu_drive_defaults_b" ]; then continue; fi
    for qemu_drive_defaults_o in $qemu_drive_defaults_bins; do
      if [ "$qemu_drive_defaults_b" -ef "$qemu_drive_defaults_o" ]; then continue 2; fi
    done
    qemu_drive_defaults_bins="$qemu_drive_defaults_bins $qemu_drive_defaults_b"
  done
}
qemu_drive_defaults_fingerprint() {
  qemu_drive_defaults_key=$(stat -L -c '%n %d:%i %s %y %z' -- $qemu_drive_defaults_bins
    if [ -f ${CONF} ]; then sha256sum ${CONF}; else echo none; fi)
}
qemu_drive_defaults_plain() {
  while IFS= read -r qemu_drive_defaults_l || [ -n "$qemu_drive_defaults_l" ]; do
    case $qemu_drive_defaults_l in '[global]'*|'#'*) ;; *'['*) return 1;; esac
  done < "$1"
}
qemu_drive_defaults_trial() {
  qemu_drive_defaults_b=$1; shift
  printf '%s\\n' ${shellWords(questions)} |
    HOME=/ TMPDIR=/dev/null timeout -k 2 ${TRIAL_SECONDS} "$qemu_drive_defaults_b" -S -nodefaults -display none -accel tcg,thread=single -accel qtest \\
      -machine $qemu_drive_defaults_machine -smp ${TRIAL_VCPUS} "$@" -qmp stdio 2>&1 | head -c ${MAX_OUTPUT} || :
  echo
}
qemu_drive_defaults_see() {
  if [ -e ${CONF} ] && ! qemu_drive_defaults_plain ${CONF}; then echo 'see unsafe'; return 0; fi
  if [ -z "$qemu_drive_defaults_machine" ]; then echo 'see unknown'; return 0; fi
  for qemu_drive_defaults_p in $qemu_drive_defaults_bins; do
    printf 'bin %s\\n' "$qemu_drive_defaults_p"
    qemu_drive_defaults_trial "$qemu_drive_defaults_p" ${BLANK_DISK}
  done
}
`;
}

/** A disk that holds nothing and is given no property: what it has are the defaults. */
export const BLANK_DISK = shellWords([
  '-blockdev',
  'driver=null-co,node-name=bf',
  '-device',
  'virtio-blk-pci,id=bf,drive=bf',
]);

/** Prints what every program sees: from what an apply kept, where the programs and the file are still the same. */
export const seeOrRecall = `qemu_drive_defaults_kept=
if [ -r ${SEEN} ]; then qemu_drive_defaults_kept=$(cat ${SEEN}); fi
case $qemu_drive_defaults_kept in
  "$qemu_drive_defaults_key
see kept
"*) printf '%s\\n' "\${qemu_drive_defaults_kept#"$qemu_drive_defaults_key
"}";;
  *) qemu_drive_defaults_see;;
esac
`;

/** Keeps what every program sees now, so that the next probes need not start it. */
export const keepSeen = `qemu_drive_defaults_fingerprint
{ printf '%s\\nsee kept\\n' "$qemu_drive_defaults_key"; qemu_drive_defaults_see; } > ${SEEN}.new
mv -f -- ${SEEN}.new ${SEEN}
`;
