import { createHash } from 'node:crypto';
import { shellQuote } from '../../../lib/shell.ts';
import type { Payload, Step } from '../../kind.ts';
import { APPARMOR, KEPT, KEPT_DOMAINS, KEPT_URI } from '../paths.ts';
import type { QemuDriveDefaults } from '../schema.ts';
import type { DomainChange, LibvirtPlan } from './plan.ts';
import type { LibvirtState } from './probe.ts';

const sha256 = (text: string) => createHash('sha256').update(text, 'latin1').digest('hex');

/**
 * One step: each domain's definition is kept as it is, then defined anew by virsh. libvirt changes the persistent
 * definition alone by that; a guest that runs goes on as it is.
 */
export function libvirtSteps(profile: QemuDriveDefaults, state: LibvirtState, plan: LibvirtPlan): Step[] {
  const { domains, forget, apparmor } = plan;
  if (domains.length === 0 && forget.length === 0 && apparmor === undefined) return [];
  const uri = (profile.state === 'present' ? profile.libvirt?.uri : undefined) ?? state.keptUri ?? '';
  const payloads: Payload[] = domains.map(({ text }) => ({
    sha256: sha256(text),
    bytes: Buffer.from(text, 'latin1'),
  }));
  if (apparmor) payloads.push({ sha256: sha256(apparmor), bytes: Buffer.from(apparmor, 'latin1') });
  return [
    {
      title: "change the persistent definitions of libvirt's domains",
      guard: `${functions(uri)}${domains.map((change) => `qemu_drive_defaults_check ${words(change)}\n`).join('')}`,
      script: `${functions(uri)}umask 077
mkdir -p ${KEPT_DOMAINS}
${uri === '' ? '' : `printf '%s\\n' ${shellQuote(uri)} > ${KEPT_URI}\n`}${domains
  .map((change) => `qemu_drive_defaults_define ${words(change)} ${change.restored ? 'restore' : 'keep'}\n`)
  .join(
    '',
  )}${forget.map((uuid) => `rm -f -- ${KEPT_DOMAINS}/${uuid}.xml ${KEPT_DOMAINS}/${uuid}.done\n`).join('')}${
  apparmor === undefined ? '' : apparmorScript(apparmor)
}for qemu_drive_defaults_f in ${KEPT_DOMAINS}/*.xml; do
  if [ -e "$qemu_drive_defaults_f" ]; then exit 0; fi
done
rm -rf -- ${KEPT_DOMAINS}
rmdir -- ${KEPT} 2>/dev/null || :
rmdir -- ${KEPT.slice(0, KEPT.lastIndexOf('/'))} 2>/dev/null || :
`,
      payloads,
      deadline: 300 + domains.length,
    },
  ];
}

const words = ({ domain, text }: DomainChange) => `${domain.uuid} ${sha256(domain.text)} ${sha256(text)}`;

/**
 * `_now UUID` sets _text to the definition and _sum to its sha256. `_check UUID FROM TO` holds where it is as it was planned
 * from, or was defined from TO before and not changed since.
 */
const functions = (uri: string) => `qemu_drive_defaults_now() {
  qemu_drive_defaults_text=$(virsh -q -c ${shellQuote(uri)} dumpxml --inactive --domain "$1") || { echo "domain $1 is gone" >&2; exit 1; }
  qemu_drive_defaults_sum=$(printf %s "$qemu_drive_defaults_text" | sha256sum | cut -c 1-64)
}
qemu_drive_defaults_done() { [ "$(cat ${KEPT_DOMAINS}/"$1".done 2>/dev/null)" = "$2 $qemu_drive_defaults_sum" ]; }
qemu_drive_defaults_check() {
  qemu_drive_defaults_now "$1"
  if [ "$qemu_drive_defaults_sum" = "$2" ] || qemu_drive_defaults_done "$1" "$3"; then return 0; fi
  echo "domain $1 changed since it was planned" >&2
  exit 1
}
qemu_drive_defaults_define() {
  qemu_drive_defaults_now "$1"
  if ! qemu_drive_defaults_done "$1" "$3"; then
    if [ ! -e ${KEPT_DOMAINS}/"$1".xml ]; then
      printf '%s\\n' "$qemu_drive_defaults_text" > ${KEPT_DOMAINS}/"$1".new
      sync ${KEPT_DOMAINS}/"$1".new 2>/dev/null || sync
      mv -f -- ${KEPT_DOMAINS}/"$1".new ${KEPT_DOMAINS}/"$1".xml
    fi
    virsh -q -c ${shellQuote(uri)} define "$BF_PAYLOAD/$3"
    qemu_drive_defaults_now "$1"
    printf '%s %s\\n' "$3" "$qemu_drive_defaults_sum" > ${KEPT_DOMAINS}/"$1".done
  fi
  if [ "$4" = restore ]; then rm -f -- ${KEPT_DOMAINS}/"$1".xml; fi
}
`;

function apparmorScript(text: string | null): string {
  const folder = APPARMOR.slice(0, APPARMOR.lastIndexOf('/'));
  if (text === null) return `rm -f -- ${APPARMOR}\n`;
  return `mkdir -p -m 0755 ${folder}
rm -f -- ${APPARMOR}.blkfleet-new
cat -- "$BF_PAYLOAD/${sha256(text)}" > ${APPARMOR}.blkfleet-new
chmod 0644 ${APPARMOR}.blkfleet-new
if [ -f ${APPARMOR} ]; then chmod --reference=${APPARMOR} ${APPARMOR}.blkfleet-new; fi
mv -T -f -- ${APPARMOR}.blkfleet-new ${APPARMOR}
`;
}
