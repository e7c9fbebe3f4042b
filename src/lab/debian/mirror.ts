import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { FleetError } from '../../lib/errors.ts';
import { runTool } from './run.ts';

/** Where this machine gets Debian packages from. */
export interface Mirror {
  /** of the main archive, without a slash at the end */
  archive: string;
  /** of the security archive; absent where this machine has none */
  security?: string;
  /** file with the archive's keys */
  keyring: string;
  /** apt.conf lines of this machine that decide whether the mirror can be used: proxies, date checks */
  aptOptions: readonly string[];
}

/** One entry of apt's sources, one-line or deb822. */
export interface SourceEntry {
  uri: string;
  suites: readonly string[];
  components: readonly string[];
  signedBy?: string;
}

const DEFAULT_KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';
const RELEASE =
  '(?:buster|bullseye|bookworm|trixie|forky|duke|sid|oldoldstable|oldstable|stable|testing|unstable)';
const ARCHIVE_SUITE = new RegExp(`^${RELEASE}(?:-updates|-proposed-updates|-backports)?$`);
const SECURITY_SUITE = new RegExp(`^${RELEASE}(?:-security|/updates)$`);

/**
 * Finds the Debian mirror in this machine's apt sources; entries of others (a vendor's repository) are ignored.
 * @param etc the folder of apt's configuration
 * @throws FleetError E_FILE where no entry is Debian's
 */
export async function findMirror(etc = '/etc/apt'): Promise<Mirror> {
  const mirror = chooseMirror(await readSources(etc));
  if (!mirror)
    throw new FleetError({
      code: 'E_FILE',
      message: `no entry for a Debian archive in ${etc}/sources.list or ${etc}/sources.list.d`,
      hint: 'the lab host and the tests install Debian packages: they need a machine whose apt has a Debian mirror',
    });
  return { ...mirror, aptOptions: await aptOptions() };
}

async function readSources(etc: string): Promise<SourceEntry[]> {
  const folder = join(etc, 'sources.list.d');
  const names = await readdir(folder).catch(() => [] as string[]);
  const files = [join(etc, 'sources.list'), ...names.sort().map((name) => join(folder, name))];
  const entries: SourceEntry[] = [];
  for (const file of files) {
    const text = await readFile(file, 'utf8').catch(() => '');
    if (file.endsWith('.sources')) entries.push(...parseDeb822(text));
    else if (file.endsWith('.list')) entries.push(...parseOneLine(text));
  }
  return entries;
}

/** Parses a `.list` file; comments, deb-src and malformed lines yield nothing. */
export function parseOneLine(text: string): SourceEntry[] {
  const entries: SourceEntry[] = [];
  for (const line of text.split('\n')) {
    const match = /^\s*deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)(?:\s+([^#]*))?/.exec(line);
    if (!match) continue;
    const signedBy = /(?:^|\s)signed-by=(\S+)/i.exec(match[1] ?? '')?.[1];
    entries.push({
      uri: match[2]!,
      suites: [match[3]!],
      components: words(match[4] ?? ''),
      ...(signedBy ? { signedBy } : {}),
    });
  }
  return entries;
}

/** Parses a `.sources` file (deb822 stanzas); disabled and source-only stanzas yield nothing. */
export function parseDeb822(text: string): SourceEntry[] {
  const entries: SourceEntry[] = [];
  const plain = text.split('\n').filter((line) => !line.startsWith('#'));
  for (const stanza of plain.join('\n').split(/\n\s*\n/)) {
    const fields = new Map<string, string>();
    let last = '';
    for (const line of stanza.split('\n')) {
      const field = /^([A-Za-z-]+):\s*(.*)$/.exec(line);
      if (field) {
        last = field[1]!.toLowerCase();
        fields.set(last, field[2]!);
      } else if (/^\s/.test(line) && last !== '') fields.set(last, `${fields.get(last)}\n${line.trim()}`);
    }
    if (!words(fields.get('types') ?? '').includes('deb')) continue;
    if (/^(no|false|0|off|disable)$/i.test(fields.get('enabled')?.trim() ?? '')) continue;
    const signedBy = fields.get('signed-by')?.trim();
    for (const uri of words(fields.get('uris') ?? ''))
      entries.push({
        uri,
        suites: words(fields.get('suites') ?? ''),
        components: words(fields.get('components') ?? ''),
        ...(signedBy ? { signedBy } : {}),
      });
  }
  return entries;
}

/** Picks the archive and the security archive out of apt's entries, or null where none is Debian's. */
export function chooseMirror(entries: readonly SourceEntry[]): Omit<Mirror, 'aptOptions'> | null {
  const debian = entries.filter(
    (entry) =>
      /^https?:\/\//.test(entry.uri) &&
      entry.components.includes('main') &&
      (entry.signedBy === undefined || entry.signedBy.includes('debian-archive')),
  );
  const pick = (suite: RegExp, path: RegExp) => {
    const fitting = debian.filter((entry) => entry.suites.some((name) => suite.test(name)));
    // A vendor may use Debian's suite names with its own path; the archive's own path is preferred.
    return (
      fitting.find((entry) => path.test(entry.uri)) ?? fitting.find((entry) => entry.signedBy) ?? fitting[0]
    );
  };
  const archive = pick(ARCHIVE_SUITE, /\/debian\/?$/);
  if (!archive) return null;
  const security = pick(SECURITY_SUITE, /\/debian-security\/?$/);
  return {
    archive: archive.uri.replace(/\/+$/, ''),
    ...(security ? { security: security.uri.replace(/\/+$/, '') } : {}),
    keyring: archive.signedBy?.startsWith('/') ? archive.signedBy : DEFAULT_KEYRING,
  };
}

/**
 * The suites of a release, its updates and security always among them.
 * @param suite a release (`bookworm`), or one of its further suites (`trixie-backports`), which is then added
 */
export function sourcesFor(mirror: Mirror, suite: string, extraSuites: readonly string[] = []): string {
  const release = suite.replace(/-(?:backports|updates|security|proposed-updates)$/, '');
  const suites = new Set([release]);
  if (!['sid', 'unstable'].includes(release)) suites.add(`${release}-updates`);
  for (const extra of [suite, ...extraSuites]) if (!extra.endsWith('-security')) suites.add(extra);
  const keys = `Components: main\nSigned-By: ${mirror.keyring}\n`;
  const stanzas = [`Types: deb\nURIs: ${mirror.archive}\nSuites: ${[...suites].join(' ')}\n${keys}`];
  const releases = new Set(
    [...suites].map((name) => name.replace(/-(?:backports|updates|proposed-updates)$/, '')),
  );
  const secured = [...releases].filter((name) => !['sid', 'unstable', 'experimental'].includes(name));
  if (mirror.security && secured.length > 0)
    stanzas.push(
      `Types: deb\nURIs: ${mirror.security}\nSuites: ${secured.map((name) => `${name}-security`).join(' ')}\n${keys}`,
    );
  return stanzas.join('\n');
}

async function aptOptions(): Promise<string[]> {
  const names = [
    'Acquire::http::Proxy',
    'Acquire::https::Proxy',
    'Acquire::Check-Valid-Until',
    'Acquire::Check-Date',
  ];
  const dump = await runTool(['apt-config', 'dump', ...names]).catch(() => '');
  return dump.split('\n').filter((line) => /^Acquire::[A-Za-z:-]+ ".+";$/.test(line));
}

function words(text: string): string[] {
  return text.split(/\s+/).filter((word) => word !== '');
}
