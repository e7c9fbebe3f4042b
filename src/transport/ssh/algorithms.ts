import type { Algorithms } from 'ssh2';

/**
 * What we offer, fastest safe first. No group-exchange: ssh2 checks its prime for 1.5 s with the event loop blocked.
 * No SHA-1, no CBC; the ctr ciphers only with encrypt-then-mac or SHA-2.
 */
const KEX = [
  'curve25519-sha256',
  'curve25519-sha256@libssh.org',
  'ecdh-sha2-nistp256',
  'ecdh-sha2-nistp384',
  'diffie-hellman-group14-sha256',
  'diffie-hellman-group16-sha512',
] as const;
const CIPHERS = [
  'aes128-gcm@openssh.com',
  'aes256-gcm@openssh.com',
  'chacha20-poly1305@openssh.com',
  'aes128-ctr',
  'aes192-ctr',
  'aes256-ctr',
] as const;
const MACS = [
  'hmac-sha2-256-etm@openssh.com',
  'hmac-sha2-512-etm@openssh.com',
  'hmac-sha2-256',
  'hmac-sha2-512',
] as const;

/** Host key types that ssh2 can verify, preferred first, with the signature algorithms to offer for each. */
const HOST_KEYS: readonly (readonly [string, readonly string[]])[] = [
  ['ssh-ed25519', ['ssh-ed25519']],
  ['ecdsa-sha2-nistp256', ['ecdsa-sha2-nistp256']],
  ['ecdsa-sha2-nistp384', ['ecdsa-sha2-nistp384']],
  ['ecdsa-sha2-nistp521', ['ecdsa-sha2-nistp521']],
  ['ssh-rsa', ['rsa-sha2-512', 'rsa-sha2-256']],
];

/** The types of host keys that can be checked at all. */
export const hostKeyTypes: readonly string[] = HOST_KEYS.map(([type]) => type);

/**
 * The offer for a host. Restricted to the types its known keys have: a host with several keys then shows the one that
 * we know, and none that we do not.
 * @param known key types known for the host; empty offers all
 */
export function algorithmsFor(known: ReadonlySet<string>): Algorithms {
  const key = [...known].join();
  const made = offers.get(key) ?? offerFor(known);
  offers.set(key, made);
  return made;
}

const offers = new Map<string, Algorithms>();

function offerFor(known: ReadonlySet<string>): Algorithms {
  const usable = HOST_KEYS.filter(([type]) => known.size === 0 || known.has(type));
  return {
    kex: [...KEX],
    cipher: [...CIPHERS],
    hmac: [...MACS],
    compress: ['none'],
    serverHostKey: usable.flatMap(([, algorithms]) => algorithms) as NonNullable<Algorithms['serverHostKey']>,
  };
}
