import { createPrivateKey, sign } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import ssh2, { type ParsedKey } from 'ssh2';
import { keyType } from './known-hosts.ts';

/** A key file as read: usable, encrypted (usable only through an agent), or why not. */
export type KeyFile =
  | { path: string; state: 'usable'; key: ParsedKey }
  | { path: string; state: 'encrypted'; publicBlob: Buffer | null }
  | { path: string; state: 'missing' }
  | { path: string; state: 'unusable'; reason: string; hint: string };

/**
 * Reads a private key file: OpenSSH's format, or PEM (PKCS#1, SEC1, PKCS#8). Never asks for a passphrase.
 * @param path as the operator wrote it, `~` expanded
 */
export async function readKeyFile(path: string): Promise<KeyFile> {
  let bytes: Buffer;
  try {
    const { mode, uid } = await stat(path);
    // As ssh does: a key that others can read is not used; one that belongs to somebody else is their affair.
    if (uid === process.getuid?.() && (mode & 0o077) !== 0)
      return unusable(path, `others may read it (mode 0${(mode & 0o777).toString(8)})`, `chmod 600 ${path}`);
    bytes = await readFile(path);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT' || code === 'ENOTDIR') return { path, state: 'missing' };
    return unusable(path, `it can not be read (${code})`, `look at it: ls -l ${path}`);
  }
  return parseKeyFile(path, bytes, await readPublicBlob(`${path}.pub`));
}

/** The pure part of `readKeyFile`. `publicBlob` is from the .pub file beside it, null without one. */
export function parseKeyFile(path: string, bytes: Buffer, publicBlob: Buffer | null): KeyFile {
  const inner = opensshPublicBlob(bytes) ?? publicBlob;
  const type = inner ? keyType(inner) : '';
  if (type.startsWith('sk-'))
    return unusable(
      path,
      `it is a security key (${type}), which is not supported`,
      'use an ed25519 key, or add one',
    );
  const parsed = ssh2.utils.parseKey(bytes);
  const key = Array.isArray(parsed) ? parsed[0] : parsed;
  if (key && !(key instanceof Error)) {
    if (key.isPrivateKey()) return { path, state: 'usable', key: withKeyAtHand(key) };
    return unusable(path, 'it is a public key', 'name the private key, without .pub');
  }
  const text = bytes.toString('latin1');
  if (/encrypted|passphrase/i.test(key?.message ?? '') || /ENCRYPTED/.test(text.slice(0, 400)))
    return { path, state: 'encrypted', publicBlob: inner };
  return (
    fromPkcs8(path, text) ??
    unusable(path, 'it is no private key that can be read', 'ssh-keygen -y -f it to see')
  );
}

/**
 * ssh2 hands the PEM text to OpenSSL for each signature, and reading it costs twelve times the signature itself: an
 * Ed25519 key is read once for all hosts. Other types sign by more rules and are left alone.
 */
function withKeyAtHand(key: ParsedKey): ParsedKey {
  if (key.type !== 'ssh-ed25519') return key;
  const secret = createPrivateKey(key.getPrivatePEM());
  key.sign = (data) => sign(null, Buffer.from(data), secret);
  return key;
}

/** RSA and EC keys in PKCS#8, which ssh2 does not read, in the older PEM forms that it does. */
function fromPkcs8(path: string, text: string): KeyFile | null {
  if (!text.includes('BEGIN PRIVATE KEY')) return null;
  try {
    const key = createPrivateKey(text);
    const type = key.asymmetricKeyType === 'rsa' ? 'pkcs1' : 'sec1';
    const parsed = ssh2.utils.parseKey(key.export({ type, format: 'pem' }) as string);
    if (!(parsed instanceof Error))
      return { path, state: 'usable', key: Array.isArray(parsed) ? parsed[0]! : parsed };
  } catch {
    // falls through to the message
  }
  return unusable(path, 'this PKCS#8 key can not be read', `convert it: ssh-keygen -p -N '' -f ${path}`);
}

function unusable(path: string, reason: string, hint: string): KeyFile {
  return { path, state: 'unusable', reason, hint };
}

async function readPublicBlob(path: string): Promise<Buffer | null> {
  try {
    const [type, base64] = (await readFile(path, 'latin1')).trim().split(/\s+/);
    const blob = Buffer.from(base64 ?? '', 'base64');
    return keyType(blob) === type ? blob : null;
  } catch {
    return null;
  }
}

/**
 * The public key of an OpenSSH private key file, which stands there in the clear also when the key is encrypted
 * (PROTOCOL.key of OpenSSH: magic, cipher, kdf, kdf options, number of keys, public key). Null for other formats.
 */
export function opensshPublicBlob(bytes: Buffer): Buffer | null {
  const match = /-----BEGIN OPENSSH PRIVATE KEY-----([\s\S]*?)-----END/.exec(bytes.toString('latin1'));
  if (!match) return null;
  const data = Buffer.from(match[1]!, 'base64');
  const magic = 'openssh-key-v1\0';
  if (data.toString('latin1', 0, magic.length) !== magic) return null;
  let at = magic.length;
  const string = (): Buffer | null => {
    if (at + 4 > data.length) return null;
    const length = data.readUInt32BE(at);
    if (length > data.length - at - 4) return null;
    at += 4 + length;
    return data.subarray(at - length, at);
  };
  for (let field = 0; field < 3; field++) if (!string()) return null;
  at += 4;
  const blob = string();
  return blob && blob.length > 0 ? Buffer.from(blob) : null;
}
