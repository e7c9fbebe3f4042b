import { createHmac } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import {
  hashedName,
  judge,
  KnownHosts,
  keyType,
  knownHostsName,
  parseKnownHosts,
  parsePublicKey,
} from '../../../src/transport/ssh/known-hosts.ts';

/** A blob of the wire's shape: the type, then bytes of `seed`. */
function key(type: string, seed: number): Buffer {
  const head = Buffer.alloc(4);
  head.writeUInt32BE(type.length);
  return Buffer.concat([head, Buffer.from(type), Buffer.alloc(32, seed)]);
}

const ed = (seed: number) => key('ssh-ed25519', seed);
const entry = (names: string, blob: Buffer, marker = '') =>
  `${marker}${names} ${keyType(blob)} ${blob.toString('base64')} comment here\n`;
const verdict = (text: string, address: string, port: number, blob: Buffer) =>
  judge(new KnownHosts(parseKnownHosts(text, 'kh')).lookup(address, port), blob);

describe('known_hosts', () => {
  const salt = Buffer.alloc(20, 7);
  const hashed = `|1|${salt.toString('base64')}|${createHmac('sha1', salt).update('[hv2]:2222').digest('base64')}`;

  it.each([
    ['a plain name', entry('hv1', ed(1)), 'hv1', 22, 'match'],
    ['names are not case-sensitive', entry('HV1', ed(1)), 'hv1', 22, 'match'],
    ['one of a list', entry('a,hv1,10.0.0.1', ed(1)), '10.0.0.1', 22, 'match'],
    ['another key', entry('hv1', ed(2)), 'hv1', 22, 'changed'],
    ['another name', entry('hv2', ed(1)), 'hv1', 22, 'unknown'],
    ['[host]:port', entry('[hv1]:2222', ed(1)), 'hv1', 2222, 'match'],
    ['[host]:port is not the bare name', entry('[hv1]:2222', ed(1)), 'hv1', 22, 'unknown'],
    [
      'the bare name counts at other ports when they are not known',
      entry('hv1', ed(1)),
      'hv1',
      2222,
      'match',
    ],
    ['the port goes first', entry('hv1', ed(1)) + entry('[hv1]:2222', ed(2)), 'hv1', 2222, 'changed'],
    ['a wildcard', entry('hv*', ed(1)), 'hv1', 22, 'match'],
    ['a question mark', entry('hv?', ed(1)), 'hv12', 22, 'unknown'],
    ['a dot is a dot', entry('h.1', ed(1)), 'hv1', 22, 'unknown'],
    ['a negation in the list', entry('hv*,!hv1', ed(1)), 'hv1', 22, 'unknown'],
    ['a hashed name', entry(hashed, ed(1)), 'hv2', 2222, 'match'],
    ['a hashed name of another', entry(hashed, ed(1)), 'hv2', 22, 'unknown'],
    ['revoked goes first', entry('hv1', ed(1)) + entry('hv1', ed(1), '@revoked '), 'hv1', 22, 'revoked'],
    ['revoked by a wildcard', entry('*', ed(1), '@revoked ') + entry('hv1', ed(1)), 'hv1', 22, 'revoked'],
    ['only an authority', entry('*', ed(9), '@cert-authority '), 'hv1', 22, 'authority-only'],
    ['an authority is no host key', entry('hv1', ed(1), '@cert-authority '), 'hv1', 22, 'authority-only'],
    ['an unknown marker', entry('hv1', ed(1), '@other '), 'hv1', 22, 'unknown'],
    ['a type that is not the key’s', `hv1 ssh-rsa ${ed(1).toString('base64')}\n`, 'hv1', 22, 'unknown'],
    ['no base64', 'hv1 ssh-ed25519 !!!\n', 'hv1', 22, 'unknown'],
    ['too few words, comments, empty lines', '#x\n\nhv1\nhv1 ssh-ed25519\n', 'hv1', 22, 'unknown'],
    ['CRLF', entry('hv1', ed(1)).replace('\n', '\r\n'), 'hv1', 22, 'match'],
  ])('%s', (_, text, address, port, expected) => {
    expect(verdict(text, address, port, ed(1))).toBe(expected);
  });

  it('takes a line that was learned', () => {
    const known = new KnownHosts([]);
    expect(judge(known.lookup('hv1', 2222), ed(1))).toBe('unknown');
    const text = entry(hashedName(knownHostsName('HV1', 2222), salt), ed(1));
    for (const line of parseKnownHosts(text, 'kh')) known.add(line);
    expect(judge(known.lookup('hv1', 2222), ed(1))).toBe('match');
    expect(judge(known.lookup('hv1', 2222), ed(2))).toBe('changed');
  });

  it('reads no key type beyond the blob', () => {
    expect(keyType(Buffer.from([0, 0, 0, 200, 65]))).toBe('');
    expect(keyType(Buffer.from([0, 0]))).toBe('');
    expect(parsePublicKey('ssh-ed25519', Buffer.from([255, 255, 255, 255]).toString('base64'))).toBeNull();
  });
});
