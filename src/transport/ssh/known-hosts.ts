import { createHash, createHmac, timingSafeEqual } from 'node:crypto';

/** A public key as it goes over the wire, with its type: the first string in it. */
export interface HostKey {
  type: string;
  blob: Buffer;
}

export interface KnownHostsLine {
  marker: 'plain' | 'revoked' | 'cert-authority';
  /** lower-case patterns, or the salted hash of one name */
  names: { patterns: readonly NamePattern[] } | { salt: Buffer; hash: Buffer };
  key: HostKey;
  file: string;
  line: number;
}

interface NamePattern {
  negated: boolean;
  text: string;
  glob: RegExp | null;
}

/** What the files know of one host. */
export interface KnownKeys {
  keys: readonly KnownHostsLine[];
  revoked: readonly KnownHostsLine[];
  authorities: readonly KnownHostsLine[];
}

export type HostKeyVerdict = 'match' | 'changed' | 'unknown' | 'revoked' | 'authority-only';

/** The type of a key blob: its first length-prefixed string; '' when it has none. */
export function keyType(blob: Buffer): string {
  if (blob.length < 4) return '';
  const length = blob.readUInt32BE(0);
  return length <= 64 && blob.length >= 4 + length ? blob.toString('latin1', 4, 4 + length) : '';
}

/** `SHA256:…` without padding, as OpenSSH shows it. */
export function fingerprint(blob: Buffer): string {
  return `SHA256:${createHash('sha256').update(blob).digest('base64').replace(/=+$/, '')}`;
}

/** The name under which known_hosts lists an address: lower case, `[address]:port` beside port 22. */
export function knownHostsName(address: string, port: number): string {
  const name = address.toLowerCase();
  return port === 22 ? name : `[${name}]:${port}`;
}

/**
 * Parses a known_hosts file as sshd(8) describes it; lines that make no sense are skipped, as OpenSSH does.
 * @param text the whole file
 * @param file its path, for messages
 */
export function parseKnownHosts(text: string, file: string): KnownHostsLine[] {
  const lines: KnownHostsLine[] = [];
  for (const [index, raw] of text.split('\n').entries()) {
    const words = raw.trim().split(/[ \t]+/);
    if (words[0] === '' || words[0]!.startsWith('#')) continue;
    let marker: KnownHostsLine['marker'] = 'plain';
    if (words[0]!.startsWith('@')) {
      const name = words.shift();
      if (name === '@revoked') marker = 'revoked';
      else if (name === '@cert-authority') marker = 'cert-authority';
      else continue;
    }
    const [list, type, base64] = words;
    if (list === undefined || type === undefined || base64 === undefined) continue;
    const names = parseNames(list);
    const key = parsePublicKey(type, base64);
    if (names && key) lines.push({ marker, names, key, file, line: index + 1 });
  }
  return lines;
}

/** A public key from its type and base64; null when they do not fit. */
export function parsePublicKey(type: string, base64: string): HostKey | null {
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(base64)) return null;
  const blob = Buffer.from(base64, 'base64');
  return keyType(blob) === type ? { type, blob } : null;
}

function parseNames(list: string): KnownHostsLine['names'] | null {
  if (list.startsWith('|')) {
    const match = /^\|1\|([A-Za-z0-9+/]+=*)\|([A-Za-z0-9+/]+=*)$/.exec(list);
    if (!match) return null;
    const salt = Buffer.from(match[1]!, 'base64');
    const hash = Buffer.from(match[2]!, 'base64');
    return hash.length === 20 ? { salt, hash } : null;
  }
  const patterns = list
    .toLowerCase()
    .split(',')
    .filter((pattern) => pattern !== '' && pattern !== '!')
    .map((pattern) => {
      const negated = pattern.startsWith('!');
      const text = negated ? pattern.slice(1) : pattern;
      return { negated, text, glob: /[*?]/.test(text) ? globOf(text) : null };
    });
  return { patterns };
}

/** A pattern with `*` and `?` as a RegExp; all else stands for itself, brackets too. Runs of `*` are one. */
export function globOf(pattern: string): RegExp {
  const source = pattern
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replace(/\*+/g, '.*')
    .replaceAll('?', '.');
  return new RegExp(`^${source}$`, 's');
}

function hashName(name: string, salt: Buffer): Buffer {
  return createHmac('sha1', salt).update(name).digest();
}

/** A line's name field for a new hashed entry. */
export function hashedName(name: string, salt: Buffer): string {
  return `|1|${salt.toString('base64')}|${hashName(name, salt).toString('base64')}`;
}

function lineMatches(names: KnownHostsLine['names'], name: string): boolean {
  if ('salt' in names) return timingSafeEqual(hashName(name, names.salt), names.hash);
  let matched = false;
  for (const { negated, text, glob } of names.patterns) {
    if (glob ? !glob.test(name) : text !== name) continue;
    if (negated) return false;
    matched = true;
  }
  return matched;
}

/** All files of a run, parsed once; lines with exact names only are found by name, the rest are tried. */
export class KnownHosts {
  private readonly exact = new Map<string, KnownHostsLine[]>();
  private readonly other: KnownHostsLine[] = [];
  private readonly answers = new Map<string, KnownKeys>();

  constructor(lines: readonly KnownHostsLine[]) {
    for (const line of lines) this.index(line);
  }

  /** Adds a line that was learned during the run. */
  add(line: KnownHostsLine): void {
    this.index(line);
    this.answers.clear();
  }

  private index(line: KnownHostsLine): void {
    if ('salt' in line.names || line.names.patterns.some((p) => p.negated || p.glob)) this.other.push(line);
    else
      for (const { text } of line.names.patterns) {
        const list = this.exact.get(text);
        if (list) list.push(line);
        else this.exact.set(text, [line]);
      }
  }

  /** What is known of a name; beside port 22 with nothing known, what is known of the bare name, as ssh(1) does. */
  lookup(address: string, port: number): KnownKeys {
    const known = this.named(knownHostsName(address, port));
    if (port === 22 || known.keys.length > 0) return known;
    const bare = this.named(knownHostsName(address, 22));
    return {
      keys: bare.keys,
      revoked: [...known.revoked, ...bare.revoked],
      authorities: [...known.authorities, ...bare.authorities],
    };
  }

  private named(name: string): KnownKeys {
    const cached = this.answers.get(name);
    if (cached) return cached;
    const lines = [
      ...(this.exact.get(name) ?? []),
      ...this.other.filter((line) => lineMatches(line.names, name)),
    ];
    const of = (marker: KnownHostsLine['marker']) => lines.filter((line) => line.marker === marker);
    const answer = { keys: of('plain'), revoked: of('revoked'), authorities: of('cert-authority') };
    this.answers.set(name, answer);
    return answer;
  }
}

/** Judges the key that a host showed against what is known of it. */
export function judge(known: KnownKeys, blob: Buffer): HostKeyVerdict {
  if (known.revoked.some((line) => line.key.blob.equals(blob))) return 'revoked';
  if (known.keys.some((line) => line.key.blob.equals(blob))) return 'match';
  if (known.keys.length > 0) return 'changed';
  return known.authorities.length > 0 ? 'authority-only' : 'unknown';
}
