import { FleetError } from '../../lib/errors.ts';
import { shellWords } from '../../lib/shell.ts';
import type { Input } from '../kind.ts';
import { configPath, HELPER, MODULE, notePath, TOOL, unitPath, wantsPath } from './files.ts';
import type { Qcow2DeviceDesired } from './schema.ts';

/** What a config file says; its fields as text, what it does not say is missing. */
export interface ConfigText {
  image?: string;
  read_only?: string;
  base: readonly string[];
  cache_kib?: string;
}

/** The device-mapper device of the name. */
export interface LiveDevice {
  /** its one target; '' where it has none, or several, or dmsetup is missing */
  target: string;
  /** as `dmsetup table` prints it */
  table: string;
  /** how many have it open; undefined where that is not known */
  open?: number;
  holders: readonly string[];
  readOnly: boolean;
  suspended: boolean;
  /** nothing is written to the image any more: a write of metadata failed, or metadata contradicts itself */
  failed: boolean;
  /** of the top image, as the table tells */
  inode: string;
  cacheKib: string;
  /** what our helper noted when it attached this very device */
  noted?: { file: string; image: string };
}

export interface Qcow2DeviceState {
  moduleLoaded: boolean;
  hasTool: boolean;
  hasDmsetup: boolean;
  /** our files: path → sha256, '' where it is a link or not as it should be */
  ours: ReadonlyMap<string, string>;
  /** the unit is linked into multi-user.target */
  enabled: boolean;
  /** links and notes of ours that are there */
  kept: ReadonlySet<string>;
  config?: ConfigText;
  /** the declared image: what it is, and `DEV:INODE` of a regular file */
  image: { is: 'file'; id: string } | { is: 'missing' | 'other' };
  device?: LiveDevice;
}

const MAX_ANSWER = 262_144;

/** dmsetup runs three times a host, and only where one of the devices is there; a device costs one sha256sum and a stat. */
export function probeDevices(inputs: readonly Input<Qcow2DeviceDesired>[]): string {
  const calls = inputs.map(({ desired: { name, image } }, i) => {
    const words = [name, configPath(name), unitPath(name), wantsPath(name), notePath(name), image ?? ''];
    return `bf_b ${i}; qcow2_device_probe ${shellWords(words)}; bf_e ${i} 0\n`;
  });
  return functions + calls.join('');
}

const functions = `qcow2_device_asked=
qcow2_device_ask() {
  [ -z "$qcow2_device_asked" ] || return 0
  qcow2_device_asked=1
  qcow2_device_tables=$(dmsetup table --target qcow2 2>/dev/null)
  qcow2_device_states=$(dmsetup status --target qcow2 2>/dev/null)
  qcow2_device_opens=$(dmsetup info -c --noheadings --separator : -o name,open 2>/dev/null)
}
# The lines of a text that begin with a word, the word replaced.
qcow2_device_pick() {
  while IFS= read -r qcow2_device_l; do
    case $qcow2_device_l in "$2"*) printf '%s %.8192s\\n' "$1" "\${qcow2_device_l#"$2"}";; esac
  done <<QCOW2_DEVICE_END
$3
QCOW2_DEVICE_END
}
qcow2_device_lines() {
  qcow2_device_c=0
  while [ "$qcow2_device_c" -lt 40 ] && IFS= read -r qcow2_device_l; do
    printf '%s %.2048s\\n' "$1" "$qcow2_device_l"
    qcow2_device_c=$((qcow2_device_c + 1))
  done < "$2"
}
qcow2_device_value() { { IFS= read -r qcow2_device_l < "$2"; } 2>/dev/null && printf '%s %.64s\\n' "$1" "$qcow2_device_l"; }
qcow2_device_probe() {
  [ -e /dev/mapper/control ] && [ ! -r /dev/mapper/control ] && echo denied
  [ -d /sys/module/${MODULE} ] && echo module
  [ -x ${TOOL} ] && echo tool
  command -v dmsetup >/dev/null 2>&1 && echo dmsetup
  qcow2_device_files=
  for qcow2_device_f in "$2" "$3" ${HELPER}; do
    if [ -L "$qcow2_device_f" ]; then printf 'link %s\\n' "$qcow2_device_f"
    elif [ -f "$qcow2_device_f" ]; then qcow2_device_files="$qcow2_device_files $qcow2_device_f"; fi
  done
  [ -n "$qcow2_device_files" ] && sha256sum $qcow2_device_files
  [ -x ${HELPER} ] && echo helper
  [ "$4" -ef "$3" ] && echo enabled
  for qcow2_device_f in "$4" "$5"; do
    [ -e "$qcow2_device_f" ] || [ -L "$qcow2_device_f" ] && printf 'kept %s\\n' "$qcow2_device_f"
  done
  [ -f "$2" ] && [ ! -L "$2" ] && [ -r "$2" ] && qcow2_device_lines config "$2"
  if [ -z "$6" ]; then :
  elif [ -f "$6" ]; then printf 'image %s\\n' "$(stat -L -c %d:%i -- "$6")"
  elif [ -e "$6" ]; then echo 'image other'; fi
  for qcow2_device_d in /sys/block/dm-*; do
    { IFS= read -r qcow2_device_l < "$qcow2_device_d/dm/name"; } 2>/dev/null || continue
    [ "$qcow2_device_l" = "$1" ] || continue
    printf 'device %s\\n' "\${qcow2_device_d##*/}"
    qcow2_device_value ro "$qcow2_device_d/ro"
    qcow2_device_value suspended "$qcow2_device_d/dm/suspended"
    qcow2_device_value diskseq "$qcow2_device_d/diskseq"
    for qcow2_device_f in "$qcow2_device_d"/holders/*; do [ -e "$qcow2_device_f" ] && printf 'holder %s\\n' "\${qcow2_device_f##*/}"; done
    qcow2_device_ask
    qcow2_device_pick table "$1: " "$qcow2_device_tables"
    qcow2_device_pick status "$1: " "$qcow2_device_states"
    qcow2_device_pick open "$1:" "$qcow2_device_opens"
    [ -f "$5" ] && qcow2_device_lines note "$5"
    break
  done
  :
}
`;

/** @throws FleetError E_PROBE where the host refused to let us look, or the answer is beyond any sense */
export function parseDevice(output: Buffer, { desired }: Input<Qcow2DeviceDesired>): Qcow2DeviceState {
  if (output.length > MAX_ANSWER) throw failure(`the answer about ${desired.name} is longer than 256 KiB`);
  const lines = output.toString('utf8').split('\n');
  if (lines.includes('denied'))
    throw failure(`the devices there can not be looked at`, 'run this task with become: true');
  const all = (key: string) =>
    lines.filter((line) => line.startsWith(`${key} `)).map((line) => line.slice(key.length + 1));
  const ours = new Map<string, string>();
  for (const line of lines) {
    const hash = /^([0-9a-f]{64}) {2}(\/[A-Za-z0-9_./-]+)$/.exec(line);
    if (hash) ours.set(hash[2]!, hash[1]!);
  }
  for (const path of all('link')) ours.set(path, '');
  if (ours.has(HELPER) && !lines.includes('helper')) ours.set(HELPER, '');
  const config = all('config');
  const device = parseLive(all);
  return {
    moduleLoaded: lines.includes('module'),
    hasTool: lines.includes('tool'),
    hasDmsetup: lines.includes('dmsetup'),
    ours,
    enabled: lines.includes('enabled'),
    kept: new Set(all('kept')),
    ...(config.length > 0 ? { config: parseConfig(config) } : {}),
    image: parseImage(all('image')[0]),
    ...(device ? { device } : {}),
  };
}

function parseImage(text: string | undefined): Qcow2DeviceState['image'] {
  if (text === undefined) return { is: 'missing' };
  return /^\d{1,20}:\d{1,20}$/.test(text) ? { is: 'file', id: text } : { is: 'other' };
}

function parseConfig(lines: readonly string[]): ConfigText {
  const value = (key: string) => lines.find((line) => line.startsWith(`${key} `))?.slice(key.length + 1);
  const found: ConfigText = {
    base: lines.filter((line) => line.startsWith('base ')).map((line) => line.slice(5)),
  };
  for (const key of ['image', 'read_only', 'cache_kib'] as const) {
    const text = value(key);
    if (text !== undefined) found[key] = text;
  }
  return found;
}

/** START LENGTH qcow2 FILES FILE… [OPTIONS OPTION…], docs/dm_qcow2.md; a FILE is FORMAT:INODE[:INODE] there. */
const TABLE = /^0 \d{1,20} qcow2 \d{1,3} (?:qcow2|raw):(\d{1,20})(?:[: ][ -~]*)?$/;

function parseLive(all: (key: string) => string[]): LiveDevice | undefined {
  const node = all('device')[0];
  if (node === undefined) return undefined;
  const tables = all('table');
  const table = tables.length === 1 ? TABLE.exec(tables[0]!) : null;
  const open = all('open')[0] ?? '';
  const note = all('note');
  const noteOf = (key: string) =>
    note.find((line) => line.startsWith(`${key} `))?.slice(key.length + 1) ?? '';
  const noted = { file: noteOf('file'), image: noteOf('image') };
  // A note of an earlier device of that name tells nothing of this one.
  const valid =
    table !== null &&
    noteOf('node') === node &&
    noteOf('diskseq') === (all('diskseq')[0] ?? '-') &&
    noted.file.split(':')[1] === table[1] &&
    noted.image !== '';
  return {
    target: table ? 'qcow2' : '',
    table: table ? tables[0]! : '',
    ...(/^\d{1,9}$/.test(open) ? { open: Number(open) } : {}),
    holders: all('holder').slice(0, 20),
    readOnly: all('ro')[0] === '1',
    suspended: all('suspended')[0] === '1',
    failed: /^0 \d+ qcow2 failed /.test(all('status')[0] ?? ''),
    inode: table?.[1] ?? '',
    cacheKib: / cache_kib:(\d{1,10})(?: |$)/.exec(tables[0] ?? '')?.[1] ?? '',
    ...(valid ? { noted } : {}),
  };
}

function failure(message: string, hint?: string): FleetError {
  return new FleetError({ code: 'E_PROBE', message, ...(hint === undefined ? {} : { hint }) });
}
