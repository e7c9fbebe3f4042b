import { createHash } from 'node:crypto';
import { shellQuote } from '../../../lib/shell.ts';
import type { Payload, Step } from '../../kind.ts';
import { KEPT } from '../paths.ts';
import type { ManagersPlan } from './plan.ts';
import { KEPT_GANETI, type ManagerState } from './probe.ts';

const sha256 = (text: string) => createHash('sha256').update(text, 'latin1').digest('hex');

/** One step: managers' files, each by one rename, and Ganeti's values by its own command. */
export function managersSteps(state: ManagerState, plan: ManagersPlan, present: boolean): Step[] {
  const files = [...plan.files];
  if (files.length === 0 && plan.ganeti === undefined) return [];
  const payloads: Payload[] = files.flatMap(([, text]) =>
    text === null ? [] : [{ sha256: sha256(text), bytes: Buffer.from(text, 'latin1') }],
  );
  const guards = files.map(([path, to]) => {
    const texts = [state.files.get(path) ?? null, to];
    const sums = texts.map((text) => (text === null ? '-' : sha256(text)));
    return `qemu_drive_defaults_sum=-
if [ -e ${path} ]; then qemu_drive_defaults_sum=$(sha256sum < ${path} | cut -c 1-64); fi
case $qemu_drive_defaults_sum in ${[...new Set(sums)].join('|')}) ;; *) echo '${path} changed since it was planned' >&2; exit 1;; esac
`;
  });
  const writes = files.map(([path, text]) => {
    if (text === null)
      return `rm -f -- ${path}\n${folderOf(path).endsWith('.d') ? `rmdir -- ${folderOf(path)} 2>/dev/null || :\n` : ''}`;
    return `mkdir -p -m 0755 ${folderOf(path)}
rm -f -- ${path}.blkfleet-new
cat -- "$BF_PAYLOAD/${sha256(text)}" > ${path}.blkfleet-new
chmod 0644 ${path}.blkfleet-new
if [ -f ${path} ]; then
  chmod --reference=${path} ${path}.blkfleet-new
  chown --reference=${path} ${path}.blkfleet-new
fi
sync ${path}.blkfleet-new 2>/dev/null || sync
mv -T -f -- ${path}.blkfleet-new ${path}
`;
  });
  return [
    {
      title: present
        ? "write the profile into the managers' own defaults"
        : "give the managers' defaults back",
      guard: guards.join(''),
      script: writes.join('') + ganetiScript(plan, present),
      payloads,
    },
  ];
}

function ganetiScript({ ganeti, keepGaneti }: ManagersPlan, present: boolean): string {
  if (ganeti === undefined) return '';
  const keep =
    keepGaneti === undefined
      ? ''
      : `umask 077
mkdir -p ${KEPT}
if [ ! -e ${KEPT_GANETI} ]; then
  printf '%s\\n' ${shellQuote(keepGaneti)} > ${KEPT_GANETI}.new
  mv -f -- ${KEPT_GANETI}.new ${KEPT_GANETI}
fi
`;
  const modify = ganeti === '' ? '' : `gnt-cluster modify -H ${shellQuote(`kvm:${ganeti}`)}\n`;
  return `${keep}${modify}${present ? '' : `rm -f -- ${KEPT_GANETI}\n`}`;
}

const folderOf = (path: string) => path.slice(0, path.lastIndexOf('/'));
