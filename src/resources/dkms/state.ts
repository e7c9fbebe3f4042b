import { FleetError } from '../../lib/errors.ts';
import type { Input } from '../kind.ts';
import { nameOf, packageOf } from './package.ts';
import { HOOK_SCRIPT, HOOKS, INSTALL_DIRS, PACKAGES, SOURCES, TREE } from './paths.ts';
import { folderLimit } from './probe.ts';
import type { DkmsDesired } from './schema.ts';

/** What the last build for a kernel left, by a run or by the kernel hook. */
export interface BuildRecord {
  /** 0 where it ended well: exit status of dkms, or ours */
  rc: number;
  version: string;
  by: string;
  why: string;
}

/** What we built for a kernel, and from what. */
export interface BuildProof {
  /** sha256 of the source's manifest */
  source: string;
  /** file name (x.ko, x.ko.xz) → sha256 */
  built: ReadonlyMap<string, string>;
}

/** A package on one host's disk. Paths and hashes only; nothing here is what dkms claims. */
export interface DkmsState {
  tool: boolean;
  /** versions with a folder in the tree, and what their source link is worth */
  versions: ReadonlyMap<string, 'right' | 'wrong' | 'missing'>;
  /** versions with a folder of sources that names the package */
  pushed: ReadonlySet<string>;
  /** `VERSION/KERNEL/ARCH` folders of the tree → file name → sha256 */
  trees: ReadonlyMap<string, ReadonlyMap<string, string>>;
  /** `VERSION/KERNEL/ARCH` that dkms takes for installed */
  active: ReadonlySet<string>;
  /** kernel → path below /lib/modules/KERNEL → sha256 */
  installed: ReadonlyMap<string, ReadonlyMap<string, string>>;
  /** `KERNEL NAME` of modules that depmod's index names; what is not in it modprobe does not find */
  indexed: ReadonlySet<string>;
  records: ReadonlyMap<string, BuildRecord>;
  /** of the declared version, by kernel */
  proofs: ReadonlyMap<string, BuildProof>;
  /** our files that are there → sha256, '' where it is a link or not executable */
  ours: ReadonlyMap<string, string>;
  /** another package of ours uses the hooks too */
  others: boolean;
  source: 'none' | 'same' | 'other' | 'link';
  /** entries of the declared version's folder that differ from ours, at most 20 */
  differing: readonly string[];
}

/** Of all but the source's folder. */
const MAX_ANSWER = 1_048_576;
const WORD = /^[A-Za-z0-9][A-Za-z0-9._+~-]{0,127}$/;

/** @throws FleetError E_PROBE where the host refused to let us look, or the answer is beyond any sense */
export function parseDkms(output: Buffer, input: Input<DkmsDesired>): DkmsState {
  if (output.length > MAX_ANSWER + folderLimit(input))
    throw probeError('the answer about dkms is longer than it can be');
  const name = nameOf(input);
  const versions = new Map<string, 'right' | 'wrong' | 'missing'>();
  const pushed = new Set<string>();
  const trees = new Map<string, Map<string, string>>();
  const active = new Set<string>();
  const installed = new Map<string, Map<string, string>>();
  const indexed = new Set<string>();
  const records = new Map<string, string[]>();
  const proofs = new Map<string, string[]>();
  const ours = new Map<string, string>();
  const executable = new Set<string>();
  const links = new Set<string>();
  let [tool, others] = [false, false];
  const declared = packageOf(input);
  const folder = `${SOURCES}/${name}-${declared?.conf.version ?? ''}`;
  let source: DkmsState['source'] = 'none';
  const manifest: string[] = [];
  let disk = false;
  for (const line of output.toString('latin1').split('\n')) {
    const hash = /^([0-9a-f]{64}) {2}(\/[A-Za-z0-9._+~/-]+)$/.exec(line);
    if (hash) addHash(hash[2]!, hash[1]!);
    if (disk) {
      // Names of any kind, from here on.
      takeEntry(line);
      continue;
    }
    const index = /^\/lib\/modules\/([^/]+)\/modules\.dep\.bin:\/(.+)\.ko$/.exec(line);
    if (index) indexed.add(`${index[1]} ${index[2]}`);
    const [key, first = '', second = ''] = line.split(' ', 3);
    if (key === 'denied')
      throw probeError('the state of dkms can not be read there', 'run this task with become: true');
    else if (key === 'tool') tool = true;
    else if (key === 'others') others = true;
    else if (key === 'version' && WORD.test(first)) versions.set(first, 'missing');
    else if (key === 'source' && versions.has(second))
      versions.set(second, first as 'right' | 'wrong' | 'missing');
    else if (key === 'pushed' && WORD.test(first)) pushed.add(first);
    else if (key === 'tree') trees.set(first, trees.get(first) ?? new Map());
    else if (key === 'exec') executable.add(first);
    else if (key === 'link') links.add(first);
    else if ((key === 'record' || key === 'proof') && WORD.test(first)) {
      const notes = key === 'record' ? records : proofs;
      const note = notes.get(first) ?? [];
      note.push(line.slice(key.length + first.length + 2));
      notes.set(first, note);
    } else if (key === 'folder') source = first === 'there' ? 'other' : 'link';
    else if (key === 'disk') disk = true;
  }
  if (
    source === 'other' &&
    manifest
      .sort(byBytes)
      .map((text) => `${text}\n`)
      .join('') === declared?.manifest
  )
    source = 'same';
  /** A line of find, or of sha256sum, about the source's folder or one of dkms' links. */
  function takeEntry(line: string): void {
    const link = /^to (\S+) (\S+)$/.exec(line);
    if (link && link[2]!.startsWith(`${TREE}/${name}/kernel-`)) return void active.add(link[1]!);
    if (line === 'odd') manifest.push('odd');
    const entry = /^(\\?[0-9a-f]{64} {2}|[a-zA-Z?] \d{1,5} \d{1,10}:\d{1,10} )(.*)$/s.exec(line);
    if (!entry) return;
    const path = entry[2]!;
    if (path === folder) manifest.push(`${entry[1]}.`);
    else if (path.startsWith(`${folder}/`)) manifest.push(`${entry[1]}.${path.slice(folder.length)}`);
  }
  function addHash(path: string, sha256: string): void {
    if (path === `${PACKAGES}/${name}`) ours.set(path, sha256);
    else if (path === HOOK_SCRIPT || (Object.values(HOOKS) as string[]).includes(path))
      ours.set(path, sha256);
    else if (path.startsWith(`${TREE}/${name}/`)) {
      const [version, kernel, arch, folder, file] = path.slice(TREE.length + name.length + 2).split('/');
      if (folder === 'module' && file) trees.get(`${version}/${kernel}/${arch}`)?.set(file, sha256);
    } else if (path.startsWith('/lib/modules/')) {
      const [kernel = '', ...rest] = path.slice('/lib/modules/'.length).split('/');
      const below = installed.get(kernel) ?? new Map<string, string>();
      if (INSTALL_DIRS.some((dir) => rest.join('/').startsWith(`${dir}/`))) below.set(rest.join('/'), sha256);
      installed.set(kernel, below);
    }
  }
  for (const path of ours.keys())
    if (path !== `${PACKAGES}/${name}` && !executable.has(path)) ours.set(path, '');
  for (const path of links) ours.set(path, '');
  return {
    tool,
    versions,
    pushed,
    trees,
    active,
    installed,
    indexed,
    records: new Map([...records].map(([kernel, text]) => [kernel, parseRecord(text)])),
    proofs: new Map([...proofs].map(([kernel, text]) => [kernel, parseProof(text)])),
    ours,
    others,
    source,
    differing: source === 'other' ? differences(declared?.manifest ?? '', manifest) : [],
  };
}

function byBytes(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function wordOf(lines: readonly string[], key: string): string {
  return lines.find((line) => line.startsWith(`${key} `))?.slice(key.length + 1) ?? '';
}

function parseRecord(lines: readonly string[]): BuildRecord {
  const rc = wordOf(lines, 'rc');
  return {
    rc: /^\d{1,3}$/.test(rc) ? Number(rc) : 1,
    version: wordOf(lines, 'version'),
    by: wordOf(lines, 'by') === 'hook' ? 'the kernel hook' : 'a run',
    why: wordOf(lines, 'why').slice(0, 300),
  };
}

function parseProof(lines: readonly string[]): BuildProof {
  const built = new Map<string, string>();
  for (const line of lines) {
    const match = /^built ([0-9a-f]{64}) ([A-Za-z0-9._+~-]+)$/.exec(line);
    if (match) built.set(match[2]!, match[1]!);
  }
  return { source: wordOf(lines, 'source'), built };
}

/** Names of files and folders whose lines differ between the manifest that we push and the host's. */
function differences(ours: string, theirs: readonly string[]): string[] {
  const known = new Set(ours.split('\n').filter((line) => line !== ''));
  const seen = new Set(theirs);
  const changed = [
    ...theirs.filter((line) => !known.has(line)),
    ...[...known].filter((line) => !seen.has(line)),
  ];
  const names = changed.map((line) => /(?: {2}| )\.\/(.*)$/.exec(line)?.[1] ?? '.');
  return [...new Set(names)].slice(0, 20);
}

function probeError(message: string, hint?: string): FleetError {
  return new FleetError({ code: 'E_PROBE', message, ...(hint ? { hint } : {}) });
}
