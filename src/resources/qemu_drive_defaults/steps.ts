import { shellQuote } from '../../lib/shell.ts';
import type { Input, Payload, Step } from '../kind.ts';
import { bridgeSteps } from './bridge/steps.ts';
import { sha256 } from './changes.ts';
import { fileFunctions, fileGuard } from './host-files.ts';
import { libvirtSteps } from './libvirt/steps.ts';
import { managersSteps } from './managers/steps.ts';
import { CHOSEN, CONF, DISKS, FRAGMENTS, fragmentPath, KEPT, MADE } from './paths.ts';
import { confText, layersOf, type Wanted } from './plan.ts';
import type { QemuState } from './probe.ts';
import { BLANK_DISK, keepSeen, readBackFunctions } from './readback.ts';
import type { QemuDriveDefaults } from './schema.ts';

/**
 * Managers, libvirt, then QEMU's own files: these are tried with each QEMU, put in their places, and what QEMU sees then is
 * kept. What the bridge serves comes last. The last step of `absent` forgets all, so it comes after those that need what is
 * kept.
 */
export function qemuSteps({ desired }: Input<QemuDriveDefaults>, current: QemuState): Step[] {
  const { wanted, direct, bridge, libvirt, managers } = layersOf(desired, current);
  const present = desired.state === 'present';
  const steps = [
    ...managersSteps(current.managers, managers, present),
    ...libvirtSteps(desired, current.libvirt, libvirt),
  ];
  const disks = bridgeSteps(bridge);
  if (direct.length === 0 && (present || !current.kept)) return [...steps, ...disks];
  const guard = fileGuard(CONF, confText(current), wanted.conf);
  if (!present)
    return [
      ...steps,
      ...disks,
      {
        title: "remove QEMU's drive defaults",
        guard,
        script: fileFunctions + removeScript(confText(current), wanted),
        payloads: payloadsOf([wanted.conf]),
      },
    ];
  return [
    ...steps,
    {
      title: "write QEMU's drive defaults",
      guard,
      script: readBackFunctions(desired) + fileFunctions + writeScript(wanted),
      payloads: payloadsOf([wanted.conf, ...wanted.files.values()]),
    },
    ...disks,
  ];
}

function payloadsOf(texts: readonly (string | null)[]): Payload[] {
  return texts.flatMap((text) =>
    text === null ? [] : [{ sha256: sha256(text), bytes: Buffer.from(text, 'latin1') }],
  );
}

function writeScript({ conf, files, chosen }: Wanted): string {
  const confHash = sha256(conf!);
  const texts = [...files].map(([path, text]) =>
    text === null ? `rm -f -- ${path}\n` : `qemu_drive_defaults_put ${sha256(text)} ${path}\n`,
  );
  const trial = files.get(fragmentPath('virtio-blk')) ?? null;
  return `qemu_drive_defaults_find
[ -n "$qemu_drive_defaults_bins" ] || qemu_drive_defaults_die 'no QEMU is on this host: install it (qemu-system-x86), leave the host out with when:, or declare absent_ok: true'
[ -n "$qemu_drive_defaults_machine" ] || qemu_drive_defaults_die "QEMU on $qemu_drive_defaults_arch is not known"
umask 077
mkdir -p ${KEPT}
# A file that QEMU refuses would keep every guest from starting: it is tried before it gets there.
qemu_drive_defaults_try() {
  qemu_drive_defaults_out=$(qemu_drive_defaults_trial "$@")
  case $qemu_drive_defaults_out in
    *'"id": "bye"'*|*'"id":"bye"'*) return 0;;
  esac
  return 1
}
qemu_drive_defaults_said() { printf '%s\\n' "$qemu_drive_defaults_out" | grep -v '^{' >&2 || :; }
if qemu_drive_defaults_plain "$BF_PAYLOAD/${confHash}"; then
  for qemu_drive_defaults_p in $qemu_drive_defaults_bins; do
    qemu_drive_defaults_try "$qemu_drive_defaults_p" -no-user-config -readconfig "$BF_PAYLOAD/${confHash}" ${BLANK_DISK} || {
      qemu_drive_defaults_said
      qemu_drive_defaults_die "$qemu_drive_defaults_p refuses the new ${CONF}: nothing was written"
    }
  done
fi
${trial === null ? '' : tryFragment(sha256(trial))}for qemu_drive_defaults_d in ${CONF.slice(0, CONF.lastIndexOf('/'))} ${FRAGMENTS}${[...files.keys()].some((path) => path.startsWith(`${DISKS}/`)) ? ` ${DISKS}` : ''}; do qemu_drive_defaults_folder "$qemu_drive_defaults_d"; done
${texts.join('')}ln -s -f -n -- ${chosen} ${CHOSEN}.blkfleet-new
mv -T -f -- ${CHOSEN}.blkfleet-new ${CHOSEN}
qemu_drive_defaults_put ${confHash} ${CONF}
sync ${FRAGMENTS} ${CONF.slice(0, CONF.lastIndexOf('/'))} 2>/dev/null || :
${keepSeen}`;
}

/** With a scratch disk; on a file system that has no O_DIRECT at all there is nothing to be told by that. */
function tryFragment(hash: string): string {
  return `truncate -s 1M ${KEPT}/scratch
trap 'rm -f ${KEPT}/scratch' EXIT
for qemu_drive_defaults_p in $qemu_drive_defaults_bins; do
  qemu_drive_defaults_try "$qemu_drive_defaults_p" -no-user-config -readconfig "$BF_PAYLOAD/${hash}" -set drive.disk0.file=${KEPT}/scratch || {
    qemu_drive_defaults_said
    case $qemu_drive_defaults_out in
      *O_DIRECT*) echo 'the fragment could not be tried: ${KEPT} has no O_DIRECT';;
      *) qemu_drive_defaults_die "$qemu_drive_defaults_p refuses the profile: nothing was written";;
    esac
  }
done
`;
}

function removeScript(from: string | null, { conf, files: own }: Wanted): string {
  const files = [...own.keys(), CHOSEN];
  const change =
    from === conf
      ? ''
      : conf === null
        ? `rm -f -- ${CONF}\n`
        : `qemu_drive_defaults_put ${sha256(conf)} ${CONF}\n`;
  const leftovers = [CONF, ...files].map((path) => `${path}.blkfleet-new`);
  return `${change}rm -f -- ${[...files, ...leftovers].map(shellQuote).join(' ')}
# Of the folders those that blkfleet made and nobody uses, from the deepest.
if [ -f ${MADE} ]; then
  sort -r ${MADE} | while IFS= read -r qemu_drive_defaults_d; do
    case $qemu_drive_defaults_d in
      /etc/qemu|/etc/blkfleet|${FRAGMENTS}|${DISKS}) if [ -d "$qemu_drive_defaults_d" ]; then rmdir -- "$qemu_drive_defaults_d" 2>/dev/null || :; fi;;
    esac
  done
fi
rm -rf -- ${KEPT}
if [ -d /var/lib/blkfleet ]; then rmdir -- /var/lib/blkfleet 2>/dev/null || :; fi
`;
}
