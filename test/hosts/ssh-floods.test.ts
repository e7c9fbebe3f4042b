import { describe, expect, it } from 'vitest';
import { connect, failureOf, request, useSshHosts, whoami } from './ssh-hosts.ts';

useSshHosts();

describe('floods', () => {
  it.each([
    ['stdout', 'yes'],
    ['stderr', 'yes >&2'],
    ['one line', 'tr "\\0" x < /dev/zero'],
    ['a frame', 'bf_b a; yes'],
  ])('of %s are cut off, in bounded memory', async (_what, body) => {
    const connection = await connect('deploy');
    const before = process.memoryUsage().rss;
    const error = await failureOf(connection.run(request(body, { maxBytes: 4 << 20 })));
    expect(error.code).toBe('E_LIMIT');
    expect(process.memoryUsage().rss - before).toBeLessThan(120 << 20);
    await connection.close();
  });
  it('of a login shell are cut off', async () => {
    const connection = await connect('floods');
    expect((await failureOf(connection.run(request(whoami, { become: false })))).code).toBe('E_LIMIT');
  });
});
