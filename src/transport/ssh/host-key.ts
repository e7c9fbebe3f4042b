import { randomBytes } from 'node:crypto';
import { mkdir, open, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { FleetError } from '../../lib/errors.ts';
import { printable } from '../../lib/terminal.ts';
import { failure } from '../failure.ts';
import {
  fingerprint,
  hashedName,
  judge,
  KnownHosts,
  type KnownKeys,
  keyType,
  knownHostsName,
  parseKnownHosts,
  parsePublicKey,
} from './known-hosts.ts';

/** How the key of one host is checked. */
export interface HostKeyCheck {
  /** key types to ask for; empty when any will do */
  types: ReadonlySet<string>;
  /** why a key is refused, or null when it is right (or new, and new ones are taken) */
  verify(blob: Buffer): FleetError | null;
  /** to be called once the host has proved that it holds the key: a new one is written down */
  proven(blob: Buffer): Promise<void>;
  /** for a host that shows no key of `types` */
  noCommonType(): FleetError;
}

export interface HostKeyTarget {
  /** inventory name */
  host: string;
  /** the name in known_hosts: HostKeyAlias or the address */
  address: string;
  port: number;
  /** from the inventory; when given, known_hosts is not asked */
  pins: readonly string[];
  /** known_hosts files; the first is where a new key goes */
  files: readonly string[];
  hash: boolean;
}

const PIN = /^(?:SHA256:([A-Za-z0-9+/]{43})=?|([a-z0-9@.-]+) ([A-Za-z0-9+/]+={0,2})(?:\s.*)?)$/;

/** The known_hosts files of a run, each set parsed once, and the rule for keys that nobody knows. */
export class HostKeys {
  private readonly mode: 'strict' | 'accept-new';
  private readonly onNotice: (host: string, text: string) => void;
  private readonly parsed = new Map<string, Promise<KnownHosts>>();
  private writing: Promise<void> = Promise.resolve();

  constructor(mode: 'strict' | 'accept-new', onNotice: (host: string, text: string) => void) {
    this.mode = mode;
    this.onNotice = onNotice;
  }

  /** @throws FleetError E_HOST_KEY for a pin that makes no sense */
  async check(target: HostKeyTarget): Promise<HostKeyCheck> {
    if (target.pins.length > 0) return pinned(target);
    const known = await this.load(target.files);
    const found = known.lookup(target.address, target.port);
    return {
      types: new Set(found.keys.map((line) => line.key.type)),
      verify: (blob) => this.judge(target, known.lookup(target.address, target.port), blob),
      proven: (blob) => this.learn(target, known, blob),
      noCommonType: () =>
        failure(
          target.host,
          'E_HOST_KEY',
          `${nameOf(target)} shows no host key of a type that is known for it: ${describe(found)}`,
          'add its present key to known_hosts or host_keys, after checking it on the host',
        ),
    };
  }

  private load(files: readonly string[]): Promise<KnownHosts> {
    const key = files.join('\0');
    let known = this.parsed.get(key);
    if (!known) {
      known = Promise.all(
        files.map(async (file) => {
          const text = await readFile(file, 'latin1').catch(() => '');
          return parseKnownHosts(text, file);
        }),
      ).then((lists) => new KnownHosts(lists.flat()));
      this.parsed.set(key, known);
    }
    return known;
  }

  private judge(target: HostKeyTarget, known: KnownKeys, blob: Buffer): FleetError | null {
    const refuse = (message: string, hint: string) => failure(target.host, 'E_HOST_KEY', message, hint);
    const shown = show(blob);
    const name = nameOf(target);
    switch (judge(known, blob)) {
      case 'match':
        return null;
      case 'changed':
        return refuse(
          `the host key of ${name} has changed: it shows ${shown}, known is ${describe(known)}`,
          `if the host was reinstalled: ssh-keygen -R '${name}' -f ${known.keys[0]!.file}, then add the new key; else somebody may stand in between`,
        );
      case 'revoked':
        return refuse(
          `the host key of ${name} is revoked: ${shown}`,
          `${known.revoked[0]!.file}:${known.revoked[0]!.line} revokes it; the host needs a new key`,
        );
      case 'authority-only': {
        const { file, line } = known.authorities[0]!;
        return refuse(
          `for ${name} only a certificate authority is known (${file}:${line}), and host certificates can not be checked; it shows ${shown}`,
          'add the host’s own key to known_hosts or host_keys',
        );
      }
      case 'unknown':
        if (this.mode === 'accept-new') return null;
        return refuse(
          `the host key of ${name} is not known: ${shown}`,
          `compare it on the host (ssh-keygen -lf /etc/ssh/ssh_host_${shortType(blob)}_key.pub), then: ssh-keyscan -p ${target.port} ${target.address} >> ${target.files[0] ?? 'known_hosts'}; or run with --host-keys accept-new`,
        );
    }
  }

  /** Writes a new key down: one append, so that a concurrent writer loses nothing. Changed keys never come here. */
  private learn(target: HostKeyTarget, known: KnownHosts, blob: Buffer): Promise<void> {
    const file = target.files[0];
    const isNew = () => judge(known.lookup(target.address, target.port), blob) === 'unknown';
    if (this.mode !== 'accept-new' || file === undefined || !isNew()) return Promise.resolve();
    this.writing = this.writing.then(async () => {
      if (!isNew()) return;
      const name = knownHostsName(target.address, target.port);
      const field = target.hash ? hashedName(name, randomBytes(20)) : name;
      const text = `${field} ${keyType(blob)} ${blob.toString('base64')}\n`;
      for (const line of parseKnownHosts(text, file)) known.add(line);
      try {
        await appendLine(file, text);
        this.onNotice(target.host, `added the new host key of ${name} to ${file}: ${show(blob)}`);
      } catch (error) {
        const reason = (error as Error).message;
        this.onNotice(
          target.host,
          `took the new host key ${show(blob)}, but could not write it down: ${reason}`,
        );
      }
    });
    return this.writing;
  }
}

async function appendLine(file: string, text: string): Promise<void> {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  const handle = await open(file, 'a+', 0o600);
  try {
    const { size } = await handle.stat();
    const last = Buffer.alloc(1);
    if (size > 0) await handle.read(last, 0, 1, size - 1);
    await handle.appendFile(size > 0 && last[0] !== 0x0a ? `\n${text}` : text);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function pinned(target: HostKeyTarget): HostKeyCheck {
  const prints = new Set<string>();
  const types = new Set<string>();
  let anyType = false;
  for (const pin of target.pins) {
    const match = PIN.exec(pin.trim());
    const key = match?.[2] !== undefined ? parsePublicKey(match[2], match[3]!) : null;
    if (match?.[1] !== undefined) {
      prints.add(`SHA256:${match[1]}`);
      anyType = true;
    } else if (key) {
      prints.add(fingerprint(key.blob));
      types.add(key.type);
    } else
      throw failure(
        target.host,
        'E_HOST_KEY',
        `host_keys has no valid key or fingerprint: ${printable(pin.slice(0, 80))}`,
        "write 'ssh-ed25519 AAAA…' as in ssh_host_ed25519_key.pub, or 'SHA256:…' as ssh-keygen -lf prints it",
      );
  }
  const pins = [...prints].join(', ');
  const hint = 'compare it on the host; correct host_keys in the inventory if it is right';
  return {
    types: anyType ? new Set() : types,
    verify: (blob) =>
      prints.has(fingerprint(blob))
        ? null
        : failure(
            target.host,
            'E_HOST_KEY',
            `${nameOf(target)} shows ${show(blob)}, which host_keys does not pin (${pins})`,
            hint,
          ),
    proven: () => Promise.resolve(),
    noCommonType: () =>
      failure(
        target.host,
        'E_HOST_KEY',
        `${nameOf(target)} shows no host key of a pinned type (${pins})`,
        hint,
      ),
  };
}

function nameOf(target: HostKeyTarget): string {
  return knownHostsName(target.address, target.port);
}

function show(blob: Buffer): string {
  return `${printable(keyType(blob))} ${fingerprint(blob)}`;
}

function describe(known: KnownKeys): string {
  return known.keys
    .slice(0, 5)
    .map((line) => `${line.key.type} ${fingerprint(line.key.blob)} (${line.file}:${line.line})`)
    .join(', ');
}

function shortType(blob: Buffer): string {
  const type = keyType(blob);
  return type === 'ssh-ed25519' ? 'ed25519' : type === 'ssh-rsa' ? 'rsa' : 'ecdsa';
}
