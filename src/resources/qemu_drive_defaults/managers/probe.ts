import { KEPT } from '../paths.ts';
import type { QemuDriveDefaults } from '../schema.ts';
import { managerFiles } from './files.ts';

/** Values of a Ganeti cluster before blkfleet set its own: `key=value,…`. */
export const KEPT_GANETI = `${KEPT}/ganeti`;

/** What a host has of managers that compose QEMU's command line. */
export interface ManagerState {
  /** files of managers that are here by path: latin1 text, null where it is missing */
  files: ReadonlyMap<string, string | null>;
  /** of Ganeti's cluster, where this is its master */
  ganeti: Readonly<Record<string, string>> | null;
  /** its values before, where blkfleet set them */
  keptGaneti: string | null;
  /** managers whose defaults belong to each guest */
  others: readonly string[];
}

export const ganetiKeys = ['disk_cache', 'disk_aio', 'disk_discard'] as const;

const MAX_FILE = 262_144;

/** sh text that prints lines `manager …`. */
export function managersProbe({ managers }: QemuDriveDefaults): string {
  if (managers === 'leave') return '';
  const files = managerFiles.map(
    ({ path, present }, index) => `if ${present} || [ -f ${path} ]; then
  printf 'manager file ${index} '
  if [ -f ${path} ] && [ ! -L ${path} ]; then head -c ${MAX_FILE + 1} -- ${path} | base64 -w 0; echo; else echo none; fi
fi
`,
  );
  return `${files.join('')}if [ -x /usr/sbin/gnt-cluster ] && [ -f /var/lib/ganeti/ssconf_master_node ]; then
  if [ "$(cat /var/lib/ganeti/ssconf_master_node)" = "$(hostname -f 2>/dev/null || hostname)" ]; then
    echo 'manager ganeti'
    timeout -k 2 60 gnt-cluster info 2>/dev/null | head -c 262144 | sed -n '/^ *-\\{0,1\\} *kvm:/,/^ *-\\{0,1\\} *[a-z-]*: *$/s/^[ -]*\\(disk_[a-z]*\\): \\([a-z_]*\\).*/manager value \\1 \\2/p'
  fi
fi
if [ -f ${KEPT_GANETI} ]; then printf 'manager kept %s\\n' "$(cat ${KEPT_GANETI})"; fi
if [ -x /usr/sbin/qm ]; then echo 'manager other Proxmox'; fi
for qemu_drive_defaults_f in incus lxc vdsm-client; do
  if [ -x "/usr/bin/$qemu_drive_defaults_f" ]; then echo "manager other $qemu_drive_defaults_f"; fi
done
`;
}

/** Reads the lines behind `manager `. @throws Error where they make no sense */
export function parseManagers(lines: readonly string[]): ManagerState {
  const files = new Map<string, string | null>();
  const others: string[] = [];
  let ganeti: Record<string, string> | null = null;
  let keptGaneti: string | null = null;
  for (const line of lines) {
    const [word = '', first = '', second = ''] = line.split(' ');
    if (word === 'file') {
      const file = managerFiles[Number(first)];
      if (!file || !/^\d$/.test(first)) throw new Error('a file that was not asked for');
      files.set(file.path, second === 'none' ? null : decode(second));
    } else if (word === 'ganeti') ganeti ??= {};
    else if (word === 'value') {
      const key = ganetiKeys.find((name) => name === first);
      // The first is the cluster's; what follows belongs to single operating systems.
      if (key && ganeti && /^[a-z_]{1,32}$/.test(second)) ganeti[key] ??= second;
    } else if (word === 'kept') {
      if (!/^(?:disk_[a-z]+=[a-z_]+)(?:,disk_[a-z]+=[a-z_]+)*$/.test(first))
        throw new Error('kept values that are none');
      keptGaneti = first;
    } else if (word === 'other') others.push(first.slice(0, 32));
    else throw new Error('a line that was not asked for');
  }
  return { files, ganeti, keptGaneti, others: others.slice(0, 8) };
}

function decode(text: string): string {
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(text)) throw new Error('what is no base64');
  const bytes = Buffer.from(text, 'base64');
  if (bytes.length > MAX_FILE) throw new Error('a file larger than 256 KiB');
  return bytes.toString('latin1');
}
