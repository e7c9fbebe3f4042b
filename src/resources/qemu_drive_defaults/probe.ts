import { FleetError } from '../../lib/errors.ts';
import { shellWords } from '../../lib/shell.ts';
import type { Input } from '../kind.ts';
import { type BridgeUnits, bridgeProbe, parseBridge } from './bridge/probe.ts';
import { sha256 } from './changes.ts';
import type { HostOffers, ServedDisk } from './data-path.ts';
import { ownFiles, servedFiles } from './files.ts';
import { type LibvirtState, libvirtProbe, parseLibvirt } from './libvirt/probe.ts';
import { type ManagerState, managersProbe, parseManagers } from './managers/probe.ts';
import { CHOSEN, CONF, DISKS, diskPath, FRAGMENTS, KEPT, SERVED, socketOf, TEMPLATES } from './paths.ts';
import { parseQmp, type SeenQemu } from './qmp.ts';
import { MAX_CONF, readBackFunctions, seeOrRecall } from './readback.ts';
import type { QemuDriveDefaults } from './schema.ts';

/** A file of the host: its bytes as latin1 text, or why there are none. */
export type FileAnswer = { is: 'missing' | 'other' | 'big' } | { is: 'file'; text: string };

export interface QemuState {
  conf: FileAnswer;
  /** blkfleet's own files by path, and those of disks.d that a declaration may need */
  files: ReadonlyMap<string, FileAnswer>;
  /** fragments of disks that are not declared any more */
  leftDisks: readonly string[];
  /** where disk.conf points to; null where it is missing, '' where it is no link */
  chosen: string | null;
  /** blkfleet keeps something about this host's QEMU */
  kept: boolean;
  /** libvirt's daemon is installed */
  libvirtd: boolean;
  /** the QEMU programs on the host */
  binaries: readonly string[];
  /** what they see, and what there is of vhost_blk */
  offers: HostOffers;
  /** why no QEMU was asked: qemu.conf holds more than defaults, or the host's architecture is not known */
  notSeen?: 'unsafe' | 'unknown';
  /** the bridge's units */
  bridge: BridgeUnits;
  libvirt: LibvirtState;
  managers: ManagerState;
}

const MAX_ANSWER = 8_388_608;

/**
 * Few forks where nothing changed: uname, stat, sha256sum, base64, readlink, cat and systemctl. A QEMU is started only where the
 * programs or qemu.conf are not those that an apply has kept the answers of; libvirt is asked where it has a policy.
 */
export function probeQemu(inputs: readonly Input<QemuDriveDefaults>[]): string {
  return inputs.map(({ desired }, index) => probeOne(desired, index)).join('');
}

function probeOne(desired: QemuDriveDefaults, index: number): string {
  const own = [...ownFiles(desired), ...servedFiles(desired)];
  const names = shellWords([CONF, ...own.map(({ path }) => path)]);
  const files = own.map(
    ({ path, candidates }) => `qemu_drive_defaults_file ${path} '${candidates.map(sha256).join(' ')}'\n`,
  );
  return `${readBackFunctions(desired)}qemu_drive_defaults_file() {
  if [ -L "$1" ]; then echo "file $1 other"
  elif [ ! -e "$1" ]; then echo "file $1 missing"
  elif [ ! -f "$1" ] || [ ! -r "$1" ]; then echo "file $1 other"
  else
    qemu_drive_defaults_i=0
    for qemu_drive_defaults_h in $2; do
      case $qemu_drive_defaults_sums in *"$qemu_drive_defaults_h  $1$bf_n"*) echo "file $1 same $qemu_drive_defaults_i"; return 0;; esac
      qemu_drive_defaults_i=$((qemu_drive_defaults_i + 1))
    done
    printf 'file %s b64 ' "$1"; head -c ${MAX_CONF + 1} -- "$1" | base64 -w 0; echo
  fi
}
bf_b ${index}
qemu_drive_defaults_sums=
if [ -d ${CONF.slice(0, CONF.lastIndexOf('/'))} ] || [ -d ${FRAGMENTS} ] || [ -d ${SERVED} ]; then
  qemu_drive_defaults_sums=$(sha256sum -- ${names} 2>/dev/null)$bf_n
fi
qemu_drive_defaults_file ${CONF} ''
${files.join('')}for qemu_drive_defaults_f in ${DISKS}/*.conf; do
  if [ -e "$qemu_drive_defaults_f" ]; then printf 'disk %s\\n' "\${qemu_drive_defaults_f#${DISKS}/}"; fi
done
if [ -L ${CHOSEN} ]; then printf 'chosen %s\\n' "$(readlink -- ${CHOSEN})"; elif [ -e ${CHOSEN} ]; then echo 'chosen '; fi
if [ -d ${KEPT} ]; then echo kept; fi
for qemu_drive_defaults_b in /usr/sbin/libvirtd /usr/sbin/virtqemud; do
  if [ -x "$qemu_drive_defaults_b" ]; then echo libvirtd; break; fi
done
qemu_drive_defaults_template=
for qemu_drive_defaults_f in ${TEMPLATES.join(' ')}; do
  if [ -f "$qemu_drive_defaults_f" ]; then qemu_drive_defaults_template=$qemu_drive_defaults_f; echo 'bridge unit'; break; fi
done
if [ -c /dev/vhost-blk ]; then echo 'bridge device'; fi
${bridgeProbe(desired)}if [ -d ${SERVED} ]; then grep -HsE '^[[:space:]]*(disk|socket)[[:space:]]*=' -- ${SERVED}/*.conf 2>/dev/null | head -c 262144 | sed 's/^/served /'; fi
qemu_drive_defaults_find
for qemu_drive_defaults_b in $qemu_drive_defaults_bins; do printf 'has %s\\n' "$qemu_drive_defaults_b"; done
${libvirtProbe(desired)}${managersProbe(desired)}${
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
  const all = [...ownFiles(desired), ...servedFiles(desired)];
  const own = new Map(all.map(({ path, candidates }) => [path, candidates]));
  own.set(CONF, []);
  const files = new Map<string, FileAnswer>();
  const programs: { path: string; lines: string[] }[] = [];
  const binaries: string[] = [];
  const leftDisks: string[] = [];
  const served: string[] = [];
  const layers = { bridged: [] as string[], libvirt: [] as string[], manager: [] as string[] };
  const has = new Set<string>();
  let chosen: string | null = null;
  let notSeen: QemuState['notSeen'];
  for (const line of output.toString('latin1').split('\n')) {
    const program = programs.at(-1);
    const [word = '', rest = ''] = splitOnce(line);
    if (word === 'bin') programs.push({ path: pathOf(rest), lines: [] });
    else if (program) program.lines.push(line);
    else if (word === 'file') {
      const [path, answer] = splitOnce(rest);
      const candidates = own.get(path);
      if (!candidates) throw nonsense('a file that was not asked for');
      files.set(path, fileAnswer(answer, candidates));
    } else if (word === 'disk') {
      const name = /^([A-Za-z][A-Za-z0-9_-]{0,31})\.conf$/.exec(rest)?.[1];
      if (name !== undefined && !own.has(diskPath(name))) leftDisks.push(diskPath(name));
    } else if (word === 'chosen') chosen = rest.slice(0, 4096);
    else if (['kept', 'libvirtd', 'bridge'].includes(word)) has.add(line);
    else if (word === 'served') served.push(rest);
    else if (word === 'has') binaries.push(pathOf(rest));
    else if (word === 'bridged' || word === 'libvirt' || word === 'manager') layers[word].push(rest);
    else if (word === 'see' && (rest === 'unsafe' || rest === 'unknown')) notSeen = rest;
    else if (line !== '' && line !== 'see kept') throw nonsense('a line that was not asked for');
  }
  for (const path of own.keys()) if (!files.has(path)) throw nonsense(`no word about ${path}`);
  const seen: SeenQemu[] = programs.map(({ path, lines }) => parseQmp(path, lines));
  const bridge = {
    unit: has.has('bridge unit'),
    device: has.has('bridge device'),
    served: servedDisks(served),
  };
  return {
    conf: files.get(CONF)!,
    files,
    leftDisks: leftDisks.slice(0, 1000),
    chosen,
    kept: has.has('kept'),
    libvirtd: has.has('libvirtd'),
    binaries,
    offers: { seen, bridge },
    ...(notSeen === undefined ? {} : { notSeen }),
    bridge: guarded('the bridge', () => parseBridge(layers.bridged)),
    libvirt: guarded('libvirt', () => parseLibvirt(layers.libvirt)),
    managers: guarded('a manager', () => parseManagers(layers.manager)),
  };
}

/** What a layer's parser does not understand is the host's answer that makes no sense. */
function guarded<T>(what: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (error instanceof FleetError) throw error;
    throw nonsense(`${what}: ${(error as Error).message.slice(0, 200)}`);
  }
}

/** From lines `FILE:key = value` of the units' files; of a key that is there twice the last counts, as for the bridge. */
function servedDisks(lines: readonly string[]): ServedDisk[] {
  const found = new Map<string, { disk?: string; socket?: string }>();
  for (const line of lines.slice(0, 10_000)) {
    const match =
      /^\/etc\/blkfleet\/disks\.d\/([\w:@+-][\w.:@+-]{0,63})\.conf:\s*(disk|socket)\s*=\s*(\S.*?)\s*$/.exec(
        line,
      );
    if (!match || !/^\/[\w+.@:=/-]{1,106}$/.test(match[3]!)) continue;
    const entry = found.get(match[1]!) ?? {};
    entry[match[2] as 'disk' | 'socket'] = match[3]!;
    found.set(match[1]!, entry);
  }
  return [...found].flatMap(([name, { disk, socket }]) =>
    disk === undefined ? [] : [{ name, source: disk, socket: socket ?? socketOf(name) }],
  );
}

function splitOnce(line: string): [string, string] {
  const space = line.indexOf(' ');
  return space < 0 ? [line, ''] : [line.slice(0, space), line.slice(space + 1)];
}

function fileAnswer(rest: string, candidates: readonly string[]): FileAnswer {
  if (rest === 'missing' || rest === 'other') return { is: rest };
  const same = /^same (\d{1,3})$/.exec(rest);
  const text = same && candidates[Number(same[1])];
  if (text) return { is: 'file', text };
  const match = /^b64 ([A-Za-z0-9+/]*={0,2})$/.exec(rest);
  if (!match) throw nonsense('a file that can not be read');
  const bytes = Buffer.from(match[1]!, 'base64').toString('latin1');
  return bytes.length > MAX_CONF ? { is: 'big' } : { is: 'file', text: bytes };
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
