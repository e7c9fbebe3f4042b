import { createHash } from 'node:crypto';
import { FleetError } from '../../lib/errors.ts';
import type { Input } from '../kind.ts';
import { CHOSEN, CONF, type DataPath, dataPaths, fragmentPath, KEPT } from './paths.ts';
import { fragments } from './profile.ts';
import { parseQmp, type SeenQemu } from './qmp.ts';
import { MAX_CONF, readBackFunctions, seeOrRecall } from './readback.ts';
import type { QemuDriveDefaults } from './schema.ts';

/** A file of the host: its bytes as latin1 text, or why there are none. */
export type FileAnswer = { is: 'missing' | 'other' | 'big' } | { is: 'file'; text: string };

export interface QemuState {
  conf: FileAnswer;
  fragments: Record<DataPath, FileAnswer>;
  /** where disk.conf points to; null where it is missing, '' where it is no link */
  chosen: string | null;
  /** blkfleet keeps something about this host's QEMU */
  kept: boolean;
  libvirt: boolean;
  /** the QEMU programs on the host */
  binaries: string[];
  /** what they see */
  seen: SeenQemu[];
  /** why no QEMU was asked: qemu.conf holds more than defaults, or the host's architecture is not known */
  notSeen?: 'unsafe' | 'unknown';
}

const MAX_ANSWER = 1_048_576;

/**
 * Few forks where nothing changed: uname, stat, sha256sum, base64, readlink and cat. A QEMU is started only where the
 * programs or qemu.conf are not those that an apply has kept the answers of.
 */
export function probeQemu(inputs: readonly Input<QemuDriveDefaults>[]): string {
  return inputs.map(({ desired }, index) => probeOne(desired, index)).join('');
}

function probeOne(desired: QemuDriveDefaults, index: number): string {
  const stock = fragments(desired, []);
  const names = dataPaths.map(fragmentPath).join(' ');
  const files = dataPaths.map((path) => {
    const text = stock[path];
    const same = text === null ? 'never' : createHash('sha256').update(text).digest('hex');
    return `qemu_drive_defaults_file ${path} ${fragmentPath(path)} ${same}\n`;
  });
  return `${readBackFunctions(desired)}qemu_drive_defaults_file() {
  if [ -L "$2" ]; then echo "$1 other"
  elif [ ! -e "$2" ]; then echo "$1 missing"
  elif [ ! -f "$2" ] || [ ! -r "$2" ]; then echo "$1 other"
  else
    case $qemu_drive_defaults_sums in *"$3  $2"*) echo "$1 same"; return 0;; esac
    printf '%s b64 ' "$1"; head -c ${MAX_CONF + 1} -- "$2" | base64 -w 0; echo
  fi
}
bf_b ${index}
qemu_drive_defaults_sums=
if [ -d ${CONF.slice(0, CONF.lastIndexOf('/'))} ] || [ -d ${CHOSEN.slice(0, CHOSEN.lastIndexOf('/'))} ]; then
  qemu_drive_defaults_sums=$(sha256sum -- ${CONF} ${names} 2>/dev/null)
fi
qemu_drive_defaults_file conf ${CONF} never
${files.join('')}if [ -L ${CHOSEN} ]; then printf 'chosen %s\\n' "$(readlink -- ${CHOSEN})"; elif [ -e ${CHOSEN} ]; then echo 'chosen '; fi
if [ -d ${KEPT} ]; then echo kept; fi
for qemu_drive_defaults_b in /usr/sbin/libvirtd /usr/sbin/virtqemud; do
  if [ -x "$qemu_drive_defaults_b" ]; then echo libvirt; break; fi
done
qemu_drive_defaults_find
for qemu_drive_defaults_b in $qemu_drive_defaults_bins; do printf 'has %s\\n' "$qemu_drive_defaults_b"; done
${
  desired.state === 'absent'
    ? ''
    : `if [ -n "$qemu_drive_defaults_bins" ]; then
qemu_drive_defaults_fingerprint
${seeOrRecall}fi
`
}bf_e ${index} 0
`;
}

/** @throws FleetError E_PROBE when the host's answer makes no sense */
export function parseQemu(output: Buffer, { desired }: Input<QemuDriveDefaults>): QemuState {
  if (output.length > MAX_ANSWER) throw nonsense('too long');
  const stock = fragments(desired, []);
  const files = new Map<string, FileAnswer>();
  const state = { chosen: null, kept: false, libvirt: false, binaries: [], seen: [] } as unknown as QemuState;
  const programs: { path: string; lines: string[] }[] = [];
  for (const line of output.toString('latin1').split('\n')) {
    const program = programs.at(-1);
    const [word = '', rest = ''] = splitOnce(line);
    if (word === 'bin') programs.push({ path: pathOf(rest), lines: [] });
    else if (program) program.lines.push(line);
    else if (word === 'conf' || (dataPaths as readonly string[]).includes(word))
      files.set(word, fileAnswer(rest, stock[word as DataPath] ?? null));
    else if (word === 'chosen') state.chosen = rest.slice(0, 4096);
    else if (word === 'kept') state.kept = true;
    else if (word === 'libvirt') state.libvirt = true;
    else if (word === 'has') state.binaries.push(pathOf(rest));
    else if (word === 'see' && (rest === 'unsafe' || rest === 'unknown')) state.notSeen = rest;
    else if (line !== '' && line !== 'see kept') throw nonsense('a line that was not asked for');
  }
  const of = (name: string) => {
    const answer = files.get(name);
    if (!answer) throw nonsense(`no word about ${name}`);
    return answer;
  };
  state.conf = of('conf');
  state.fragments = {
    'virtio-blk': of('virtio-blk'),
    'vhost-user-blk': of('vhost-user-blk'),
    'vhost-blk': of('vhost-blk'),
  };
  state.seen = programs.map(({ path, lines }) => parseQmp(path, lines));
  return state;
}

function splitOnce(line: string): [string, string] {
  const space = line.indexOf(' ');
  return space < 0 ? [line, ''] : [line.slice(0, space), line.slice(space + 1)];
}

function fileAnswer(rest: string, same: string | null): FileAnswer {
  if (rest === 'missing' || rest === 'other') return { is: rest };
  if (rest === 'same' && same !== null) return { is: 'file', text: same };
  const match = /^b64 ([A-Za-z0-9+/]*={0,2})$/.exec(rest);
  if (!match) throw nonsense('a file that can not be read');
  const text = Buffer.from(match[1]!, 'base64').toString('latin1');
  return text.length > MAX_CONF ? { is: 'big' } : { is: 'file', text };
}

function pathOf(text: string): string {
  if (!/^\/[\w+./-]{1,255}$/.test(text)) throw nonsense('a program that is no path');
  return text;
}

function nonsense(what: string): FleetError {
  return new FleetError({
    code: 'E_PROBE',
    message: `the host's answer about QEMU makes no sense: ${what}`,
    hint: 'run it again; with -vv to see what the host printed',
  });
}
