import type { QemuDriveDefaults } from '../schema.ts';
import { type SplitConf, splitConf, withoutSection, withSection } from '../section.ts';

/** A file of a manager that holds its defaults for disks. */
export interface ManagerFile {
  manager: 'OpenNebula' | 'Nova';
  path: string;
  /** a part of sh that is true where the manager is on the host */
  present: string;
  /** from when on the values count */
  effect: string;
  /**
   * The text with the profile in it.
   * @param split the file, taken apart
   * @returns null where the file has not the form that is known
   */
  write(split: SplitConf, profile: QemuDriveDefaults): string | null;
  /** the text without blkfleet's part; null where the file shall not be there */
  remove(split: SplitConf): string | null;
}

/** The line of a section that keeps the one in whose place it stands. */
const INSTEAD = '#instead of: ';
/** The same of a last line that has no line break. */
const INSTEAD_OF_LAST = '#instead of the last: ';
const DISK = /^[ \t]*DISK[ \t]*=[ \t]*\[([^\]\n]*)\][ \t]*$/m;

/** Files with a default for disks, of managers that were found to have one. */
export const managerFiles: readonly ManagerFile[] = [
  {
    manager: 'Nova',
    // oslo.config reads the folder after nova.conf itself, so that what is here wins.
    path: '/etc/nova/nova.conf.d/50-blkfleet.conf',
    present: '[ -f /etc/nova/nova.conf ] && [ -x /usr/bin/nova-compute ]',
    effect: 'from the next start of nova-compute on, for guests that it starts then',
    write: (split, profile) =>
      withSection(
        split,
        `[libvirt]
disk_cachemodes = file=${profile.cache},block=${profile.cache}
hw_disk_discard = ${profile.discard}
`,
        { mayMove: false },
      ),
    remove: withoutSection,
  },
  {
    manager: 'OpenNebula',
    // A file of shell variables: of two assignments the later one counts.
    path: '/var/lib/one/remotes/etc/vmm/kvm/kvmrc',
    present: '[ -f /var/lib/one/remotes/etc/vmm/kvm/kvmrc ]',
    effect: 'for disks that are attached, once `onehost sync` has taken it to the nodes',
    write: (split, profile) =>
      withSection(
        split,
        `DEFAULT_ATTACH_CACHE=${profile.cache}
DEFAULT_ATTACH_DISCARD=${profile.discard}
DEFAULT_ATTACH_IO=${profile.aio}
`,
        { mayMove: false },
      ),
    remove: withoutSection,
  },
  {
    manager: 'OpenNebula',
    path: '/etc/one/vmm_exec/vmm_exec_kvm.conf',
    present: '[ -f /etc/one/vmm_exec/vmm_exec_kvm.conf ]',
    effect: 'for guests that are started after the next start of opennebula',
    write: writeDisk,
    remove: removeDisk,
  },
];

/** `DISK = [ driver = "raw", cache = "none" ]`: the line is replaced by a section that keeps it. */
function writeDisk(split: SplitConf, profile: QemuDriveDefaults): string | null {
  const text = split.section === null ? split.before : removeDisk(split);
  const match = DISK.exec(text);
  if (!match) return null;
  const words = new Map<string, string>();
  for (const pair of match[1]!.split(',')) {
    const [, name, value] = /^\s*(\w+)\s*=\s*("[^"]*"|[\w.-]+)\s*$/.exec(pair) ?? [];
    if (name === undefined || value === undefined) return null;
    words.set(name, value);
  }
  const ours = { cache: profile.cache, io: profile.aio, discard: profile.discard };
  for (const [name, value] of Object.entries(ours)) words.set(name, `"${value}"`);
  const line = `DISK = [ ${[...words].map(([name, value]) => `${name} = ${value}`).join(' , ')} ]\n`;
  const end = match.index + match[0].length;
  const section = `${end === text.length ? INSTEAD_OF_LAST : INSTEAD}${match[0]}\n${line}`;
  return withSection(
    { before: text.slice(0, match.index), section: '', after: text.slice(end + 1), made: false },
    section,
    { mayMove: false },
  );
}

function removeDisk({ before, section, after }: SplitConf): string {
  const kept = (mark: string) =>
    section
      ?.split('\n')
      .find((line) => line.startsWith(mark))
      ?.slice(mark.length);
  const line = kept(INSTEAD);
  return `${before}${line === undefined ? (kept(INSTEAD_OF_LAST) ?? '') : `${line}\n`}${after}`;
}

/** Takes a manager's file apart. */
export const splitManager = (text: string | null) => splitConf(text);
