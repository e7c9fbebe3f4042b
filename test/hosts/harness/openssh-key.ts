import { generateKeyPairSync, randomBytes } from 'node:crypto';

/** An Ed25519 key as OpenSSH writes it. */
export interface OpensshKey {
  /** the text of the private key's file */
  privateKey: string;
  /** `ssh-ed25519 BASE64` */
  publicKey: string;
}

/** Makes a key without a process of its own: a fleet of 200 hosts needs 201. */
export function makeOpensshKey(): OpensshKey {
  const jwk = generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' });
  const seed = Buffer.from(jwk.d ?? '', 'base64url');
  const point = Buffer.from(jwk.x ?? '', 'base64url');
  const type = field('ssh-ed25519');
  const publicBlob = Buffer.concat([type, field(point)]);
  const check = randomBytes(4);
  // openssh-key-v1: twice the same check number, the key, its comment, and 1, 2, 3 … up to the cipher's block of 8.
  const secret = [check, check, type, field(point), field(Buffer.concat([seed, point])), field('test')];
  const length = secret.reduce((sum, part) => sum + part.length, 0);
  for (let i = 1; (length + i - 1) % 8 !== 0; i++) secret.push(Buffer.from([i]));
  const blob = Buffer.concat([
    Buffer.from('openssh-key-v1\0'),
    field('none'),
    field('none'),
    field(''),
    uint32(1),
    field(publicBlob),
    field(Buffer.concat(secret)),
  ]);
  const lines = blob.toString('base64').match(/.{1,70}/g) ?? [];
  return {
    privateKey: `-----BEGIN OPENSSH PRIVATE KEY-----\n${lines.join('\n')}\n-----END OPENSSH PRIVATE KEY-----\n`,
    publicKey: `ssh-ed25519 ${publicBlob.toString('base64')}`,
  };
}

function field(content: string | Buffer): Buffer {
  const bytes = Buffer.from(content as string);
  return Buffer.concat([uint32(bytes.length), bytes]);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
