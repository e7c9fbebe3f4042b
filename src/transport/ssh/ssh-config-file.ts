import { globOf } from './known-hosts.ts';
import type { SshSettings } from './ssh-config.ts';

interface Setting {
  /** lower case */
  keyword: string;
  words: readonly string[];
}

interface HostBlock {
  patterns: readonly { negated: boolean; glob: RegExp }[];
  settings: readonly Setting[];
}

export type SshConfigFile = readonly HostBlock[];

/** Keywords whose values we use. Others do not bear on how a host is reached by us, and are passed over. */
const USED = new Set([
  'hostname',
  'port',
  'user',
  'identityfile',
  'identitiesonly',
  'identityagent',
  'proxyjump',
  'proxycommand',
  'hostkeyalias',
  'userknownhostsfile',
  'globalknownhostsfile',
  'hashknownhosts',
]);
/** Keywords that change which settings apply: only ssh itself is exact about them. */
const COMPLEX = new Set([
  'match',
  'include',
  'canonicalizehostname',
  'canonicaldomains',
  'canonicalizepermittedcnames',
  'knownhostscommand',
  'ignoreunknown',
]);

/** The files that OpenSSH tries when none is named, as far as ssh2 can use such keys. */
export const DEFAULT_IDENTITIES: readonly string[] = [
  '~/.ssh/id_rsa',
  '~/.ssh/id_ecdsa',
  '~/.ssh/id_ed25519',
];

/**
 * Parses an ssh_config file of the simple sort: Host blocks, plain or double-quoted values.
 * @returns its blocks, or null when it holds something that only `ssh -G` reads exactly
 */
export function parseSshConfig(text: string): SshConfigFile | null {
  const blocks: { patterns: HostBlock['patterns']; settings: Setting[] }[] = [
    { patterns: [{ negated: false, glob: /^/ }], settings: [] },
  ];
  for (const raw of text.split('\n')) {
    const line = raw.trim();
    if (line === '' || line.startsWith('#')) continue;
    const match = /^([A-Za-z0-9]+)(?:\s*=\s*|\s+)(.*)$/.exec(line);
    if (!match) return null;
    const keyword = match[1]!.toLowerCase();
    if (COMPLEX.has(keyword)) return null;
    if (keyword !== 'host' && !USED.has(keyword)) continue;
    const rest = match[2]!.trim();
    // A proxy command is a shell line: only that there is one matters here.
    const words = keyword === 'proxycommand' ? [rest] : splitWords(rest);
    if (words === null || words.length === 0) return null;
    if (keyword === 'host') {
      const patterns = words.map((word) => ({
        negated: word.startsWith('!'),
        glob: globOf(word.replace(/^!/, '')),
      }));
      blocks.push({ patterns, settings: [] });
      continue;
    }
    if (keyword !== 'proxycommand' && words.some((word) => /[%$]/.test(word) && !/^\$[A-Z_]+$/.test(word)))
      return null;
    blocks.at(-1)!.settings.push({ keyword, words });
  }
  return blocks;
}

/** Words of a line, double quotes removed; null for escapes, single quotes and comments behind values. */
function splitWords(rest: string): string[] | null {
  if (/['\\#]/.test(rest)) return null;
  const words: string[] = [];
  for (const match of rest.matchAll(/"([^"]*)"|([^\s"]+)|(")/g)) {
    if (match[3] !== undefined) return null;
    words.push(match[1] ?? match[2]!);
  }
  return words;
}

function applies(block: HostBlock, alias: string): boolean {
  const hits = block.patterns.filter((p) => p.glob.test(alias));
  return hits.length > 0 && !hits.some((p) => p.negated);
}

/**
 * What simple files say of a host: for each keyword the first value wins, identity files add up.
 * @param given values that go before the files, and the local login name for when no user is set
 */
export function evaluate(
  files: readonly SshConfigFile[],
  alias: string,
  given: { port?: number; user?: string; login: string },
): SshSettings {
  const first = new Map<string, readonly string[]>();
  const identityFiles: string[] = [];
  for (const block of files.flat()) {
    if (!applies(block, alias)) continue;
    for (const { keyword, words } of block.settings) {
      if (keyword === 'identityfile') {
        if (!identityFiles.includes(words[0]!)) identityFiles.push(words[0]!);
        continue;
      }
      // Jump and command exclude each other: the first of either kind is the one that counts.
      const rival = keyword === 'proxyjump' ? 'proxycommand' : keyword === 'proxycommand' ? 'proxyjump' : '';
      if (!first.has(keyword) && !first.has(rival)) first.set(keyword, words);
    }
  }
  const value = (keyword: string) => first.get(keyword)?.[0] ?? null;
  const set = (keyword: string) => (value(keyword)?.toLowerCase() === 'none' ? null : value(keyword));
  const port = Number(value('port') ?? 22);
  return {
    hostname: value('hostname') ?? alias,
    port: given.port ?? port,
    user: given.user ?? value('user') ?? given.login,
    identityFiles:
      identityFiles.length > 0 ? identityFiles.filter((f) => f.toLowerCase() !== 'none') : DEFAULT_IDENTITIES,
    identitiesOnly: isYes(value('identitiesonly')),
    identityAgent: value('identityagent'),
    proxyJump: set('proxyjump'),
    proxyCommand: set('proxycommand'),
    hostKeyAlias: value('hostkeyalias'),
    userKnownHostsFiles: first.get('userknownhostsfile') ?? ['~/.ssh/known_hosts', '~/.ssh/known_hosts2'],
    globalKnownHostsFiles: first.get('globalknownhostsfile') ?? [
      '/etc/ssh/ssh_known_hosts',
      '/etc/ssh/ssh_known_hosts2',
    ],
    hashKnownHosts: isYes(value('hashknownhosts')),
  };
}

function isYes(value: string | null): boolean {
  return value !== null && /^(yes|true)$/i.test(value);
}
