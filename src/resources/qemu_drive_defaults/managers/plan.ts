import { lineDiff } from '../../../lib/line-diff.ts';
import type { Change } from '../../kind.ts';
import type { QemuDriveDefaults } from '../schema.ts';
import { managerFiles, splitManager } from './files.ts';
import { ganetiKeys, type ManagerState } from './probe.ts';

export interface ManagersPlan {
  changes: Change[];
  /** files as they shall be, by path; null where one shall not be there */
  files: ReadonlyMap<string, string | null>;
  /** `key=value,…` for `gnt-cluster modify -H kvm:` */
  ganeti?: string;
  /** what was before it, to be kept; undefined where it is kept already, or can go */
  keepGaneti?: string;
  warnings: string[];
}

/** Why the profile does not reach the guests of these managers. */
const others: Readonly<Record<string, string>> = {
  Proxmox:
    "Proxmox composes the command line by each guest's own configuration (cache=none and aio=io_uring where it says nothing): set cache, aio and discard with qm set",
  incus:
    'Incus composes the command line (cache none, aio native or io_uring): set io.cache of a disk in a profile',
  lxc: 'LXD composes the command line (cache none, aio native or io_uring): set io.cache of a disk in a profile',
  'vdsm-client': "oVirt's VDSM composes the command line through libvirt: use its hooks",
};

/** What of the managers' own defaults differs from the profile. */
export function planManagers(profile: QemuDriveDefaults, state: ManagerState): ManagersPlan {
  const plan = { changes: [] as Change[], warnings: [] as string[] };
  const present = profile.state === 'present' && profile.managers === 'set';
  const files = new Map<string, string | null>();
  for (const file of managerFiles) {
    const text = state.files.get(file.path);
    if (text === undefined) continue;
    const split = splitManager(text);
    if ('problem' in split) {
      plan.warnings.push(`${file.path}: ${split.problem}; it is left as it is`);
      continue;
    }
    if (!present && split.section === null) continue;
    const to = present ? file.write(split, profile) : file.remove(split);
    if (present && to === null) {
      plan.warnings.push(
        `${file.path}: ${file.manager}'s DISK = [ … ] is not one line there; it is left as it is`,
      );
      continue;
    }
    if (to === text) continue;
    files.set(file.path, to);
    const diff = lineDiff(file.path, Buffer.from(text ?? '', 'latin1'), Buffer.from(to ?? '', 'latin1'));
    plan.changes.push({
      path: file.path,
      from: text === null ? null : `${text.length} bytes`,
      to: to === null ? null : `${to.length} bytes`,
      action: text === null ? '+' : to === null ? '-' : '~',
      reason: present ? `${file.manager}: ${file.effect}` : `${file.manager}'s own again`,
      ...(diff ? { diff } : {}),
    });
  }
  const ganeti = ganetiPlan(profile, state, present, plan.changes);
  if (present)
    for (const name of state.others)
      if (Object.hasOwn(others, name)) plan.warnings.push(`no effect here: ${others[name]}`);
  return { ...plan, files, ...ganeti };
}

function ganetiPlan(
  profile: QemuDriveDefaults,
  { ganeti, keptGaneti }: ManagerState,
  present: boolean,
  changes: Change[],
): Pick<ManagersPlan, 'ganeti' | 'keepGaneti'> {
  if (!ganeti || (!present && keptGaneti === null)) return {};
  const wanted: Record<string, string> = present
    ? { disk_cache: profile.cache, disk_aio: profile.aio, disk_discard: profile.discard }
    : Object.fromEntries(keptGaneti!.split(',').map((pair) => pair.split('=') as [string, string]));
  const differing = ganetiKeys.filter((key) => wanted[key] !== undefined && ganeti[key] !== wanted[key]);
  for (const key of differing)
    changes.push({
      path: `gnt-cluster kvm:${key}`,
      from: ganeti[key] ?? null,
      to: wanted[key]!,
      action: '~',
      reason: "Ganeti's cluster: from an instance's next start on",
    });
  if (differing.length === 0 && present) return {};
  if (differing.length === 0)
    changes.push({ path: 'gnt-cluster kept values', from: keptGaneti, to: null, action: '-' });
  const before = ganetiKeys.filter((key) => ganeti[key] !== undefined).map((key) => `${key}=${ganeti[key]}`);
  return {
    ganeti: differing.map((key) => `${key}=${wanted[key]}`).join(','),
    ...(present && keptGaneti === null ? { keepGaneti: before.join(',') } : {}),
  };
}
