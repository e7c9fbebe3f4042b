import { mayBeBridged } from '../data-path.ts';
import { SERVED, servedPath, socketOf, unitName, wantsPath } from '../paths.ts';
import type { QemuDriveDefaults } from '../schema.ts';
import { MARK } from './files.ts';

/** The unit vhost-blk@NAME. */
export interface BridgeUnit {
  name: string;
  /** its file has blkfleet's mark */
  ours: boolean;
  /** it is started at boot, by this unit's own template; `other` where that link leads elsewhere */
  boot: 'no' | 'yes' | 'other';
  /** its socket is there */
  socket: boolean;
  /** it has not been started again since its file was changed */
  stale: boolean;
  /** the disk that it has open is the declared one */
  serves: boolean;
  /** ActiveState and SubState of systemd */
  active: string;
  sub: string;
  /** what it said last of itself */
  status: string;
}

export interface BridgeUnits {
  /** systemd is the running init */
  systemd: boolean;
  /** by the name of the disk: those that are declared, and those whose file is blkfleet's */
  units: ReadonlyMap<string, BridgeUnit>;
}

/** What the bridge says while no frontend is connected (main.c of vhost-user-bridge). */
export const WAITING = 'Waiting for a frontend.';

const MAX_UNITS = 1000;
const NAME = /^[A-Za-z][A-Za-z0-9_-]{0,31}$/;

/**
 * sh text that prints lines `bridged …`; systemctl is started once, where there is a disk to ask about.
 * qemu_drive_defaults_template is the unit's template, empty where the bridge is not installed.
 */
export function bridgeProbe(profile: QemuDriveDefaults): string {
  const declared =
    profile.state === 'present' ? profile.disks.filter((disk) => mayBeBridged(profile, disk)) : [];
  const sources = declared.map(({ name, source }) => `    ${name}) qemu_drive_defaults_o=${source};;\n`);
  const n = '$qemu_drive_defaults_n';
  return `qemu_drive_defaults_unit() {
  case "$qemu_drive_defaults_units " in *" vhost-blk@$1.service "*) return 0;; esac
  qemu_drive_defaults_units="$qemu_drive_defaults_units vhost-blk@$1.service"
  qemu_drive_defaults_l=
  if [ -f ${servedPath('$1')} ] && [ ! -L ${servedPath('$1')} ]; then { IFS= read -r qemu_drive_defaults_l < ${servedPath('$1')}; } 2>/dev/null; fi
  case $qemu_drive_defaults_l in '${MARK}'*) echo "bridged ours $1";; esac
  if [ -L ${wantsPath('$1')} ] || [ -e ${wantsPath('$1')} ]; then
    if [ ${wantsPath('$1')} -ef "$qemu_drive_defaults_template" ]; then echo "bridged boot-yes $1"; else echo "bridged boot-other $1"; fi
  fi
  if [ -S ${socketOf('$1')} ]; then
    echo "bridged socket $1"
    if [ ${servedPath('$1')} -nt ${socketOf('$1')} ]; then echo "bridged stale $1"; fi
  fi
}
qemu_drive_defaults_opened() {
  case $1 in
${sources.join('')}    *) return 0;;
  esac
  for qemu_drive_defaults_f in "/proc/$2/fd"/*; do
    if [ "$qemu_drive_defaults_f" -ef "$qemu_drive_defaults_o" ]; then echo "bridged serves $1"; return 0; fi
  done
}
if [ -d /run/systemd/system ]; then echo 'bridged systemd'; fi
qemu_drive_defaults_units= qemu_drive_defaults_p=
if [ -n "$qemu_drive_defaults_template" ]; then
  for qemu_drive_defaults_n in ${declared.map(({ name }) => name).join(' ')}; do qemu_drive_defaults_unit "${n}"; done
fi
for qemu_drive_defaults_f in ${SERVED}/*.conf; do
  if [ ! -f "$qemu_drive_defaults_f" ] || [ -L "$qemu_drive_defaults_f" ]; then continue; fi
  qemu_drive_defaults_l=
  { IFS= read -r qemu_drive_defaults_l < "$qemu_drive_defaults_f"; } 2>/dev/null
  case $qemu_drive_defaults_l in '${MARK}'*) ;; *) continue;; esac
  qemu_drive_defaults_n=\${qemu_drive_defaults_f##*/} qemu_drive_defaults_n=\${qemu_drive_defaults_n%.conf}
  case ${n} in [!A-Za-z]*|*[!A-Za-z0-9_-]*) continue;; esac
  if [ \${#qemu_drive_defaults_n} -gt 32 ]; then continue; fi
  qemu_drive_defaults_unit "${n}"
done
if [ -n "$qemu_drive_defaults_units" ]; then
  for qemu_drive_defaults_n in $qemu_drive_defaults_units; do
    qemu_drive_defaults_n=\${qemu_drive_defaults_n#vhost-blk@}
    echo "bridged unit \${qemu_drive_defaults_n%.service}"
  done
  if [ -d /run/systemd/system ]; then
    { timeout -k 2 30 systemctl show -p Id -p MainPID -p ActiveState -p SubState -p StatusText -- $qemu_drive_defaults_units 2>/dev/null; echo; } | head -c 1048576 |
    while IFS= read -r qemu_drive_defaults_l; do
      printf 'bridged show %s\\n' "$qemu_drive_defaults_l"
      case $qemu_drive_defaults_l in
        Id=vhost-blk@*.service) qemu_drive_defaults_n=\${qemu_drive_defaults_l#Id=vhost-blk@} qemu_drive_defaults_n=\${qemu_drive_defaults_n%.service};;
        MainPID=[1-9]*) qemu_drive_defaults_p=\${qemu_drive_defaults_l#MainPID=};;
        MainPID=*) qemu_drive_defaults_p=;;
        '') if [ -n "$qemu_drive_defaults_p" ]; then qemu_drive_defaults_opened "${n}" "$qemu_drive_defaults_p"; fi; qemu_drive_defaults_p=;;
      esac
    done
  fi
fi
`;
}

/** Reads the lines behind `bridged `. @throws Error where they make no sense */
export function parseBridge(lines: readonly string[]): BridgeUnits {
  const flags = new Set<string>();
  const names: string[] = [];
  const shown = new Map<string, Map<string, string>>();
  let block = new Map<string, string>();
  for (const line of lines) {
    const space = line.indexOf(' ');
    const [word, rest] = space < 0 ? [line, ''] : [line.slice(0, space), line.slice(space + 1)];
    if (word === 'show' && rest === '') {
      shown.set(block.get('Id') ?? '', block);
      block = new Map();
    } else if (word === 'show') {
      const equals = rest.indexOf('=');
      if (equals < 0) throw new Error('a property of a unit that is none');
      block.set(rest.slice(0, equals), rest.slice(equals + 1));
    } else if (word === 'unit') names.push(nameOf(rest));
    else if (['ours', 'boot-yes', 'boot-other', 'socket', 'stale', 'serves'].includes(word))
      flags.add(`${word} ${nameOf(rest)}`);
    else if (line === 'systemd') flags.add(line);
    else throw new Error('a line that was not asked for');
  }
  if (names.length > MAX_UNITS) throw new Error(`more than ${MAX_UNITS} disks`);
  const systemd = flags.has('systemd');
  const units = names.map((name): BridgeUnit => {
    const has = (flag: string) => flags.has(`${flag} ${name}`);
    const properties = shown.get(unitName(name));
    if (systemd && !/^[a-z-]{1,40}$/.test(properties?.get('ActiveState') ?? ''))
      throw new Error(`systemd does not tell about ${unitName(name)}`);
    return {
      name,
      ours: has('ours'),
      boot: has('boot-yes') ? 'yes' : has('boot-other') ? 'other' : 'no',
      socket: has('socket'),
      stale: has('stale'),
      serves: has('serves'),
      active: properties?.get('ActiveState') ?? '',
      sub: (properties?.get('SubState') ?? '').slice(0, 40),
      status: (properties?.get('StatusText') ?? '').slice(0, 200),
    };
  });
  return { systemd, units: new Map(units.map((unit) => [unit.name, unit])) };
}

function nameOf(text: string): string {
  if (!NAME.test(text)) throw new Error('a name that is none of a disk');
  return text;
}
