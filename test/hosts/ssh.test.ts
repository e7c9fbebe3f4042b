import { existsSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import {
  connect,
  failureOf,
  fish,
  host,
  request,
  sshd,
  transport,
  transports,
  useSshHosts,
  whoami,
} from './ssh-hosts.ts';
import { PASSWORD } from './sshd.ts';

useSshHosts();

describe('a script', () => {
  it('runs as root through sudo, in at most 15 round trips', async () => {
    const connection = await connect('deploy');
    const { frames, status } = await connection.run(
      request(`: ${'x'.repeat(20_000)}\n${whoami}head -c 4096 /dev/zero`),
    );
    expect(frames.get('id')).toMatchObject({ rc: 0 });
    expect(frames.get('id')!.body.toString()).toBe('root\n');
    expect(status).toBe(0);
    expect(connection.roundTrips).toBeLessThanOrEqual(15);
    expect(connection.roundTrips).toBeGreaterThan(5);
  });
  it('runs as the login user without become, and one after another on one connection', async () => {
    const connection = await connect('deploy');
    const answers = await Promise.all([
      connection.run(request(whoami, { become: false })),
      connection.run(request(whoami)),
      connection.run(request('bf_b a; exit 7; bf_e a 0')),
    ]);
    expect(answers.map((a) => a.frames.get('id')?.body.toString())).toEqual([
      'deploy\n',
      'root\n',
      undefined,
    ]);
    expect(answers[2]!.status).toBe(7);
  });
  it('has a clean environment, no stdin, and exact bodies', async () => {
    const connection = await connect('deploy');
    const { frames } = await connection.run(
      request(
        'bf_b env; umask; echo "$LC_ALL $PATH"; pwd; cat; bf_e env 0; bf_b bin; printf "\\000\\377\\n\\n"; bf_e bin 3',
      ),
    );
    expect(frames.get('env')!.body.toString()).toBe(
      '0077\nC /usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n/\n',
    );
    expect(frames.get('bin')).toMatchObject({ rc: 3, body: Buffer.from([0, 255, 10, 10]) });
  });
  it('sends large bodies with back-pressure and streams long output', async () => {
    const connection = await connect('deploy');
    const blob = Buffer.alloc(3 << 20, 'abcdefghijklmno\n');
    let streamed = 0;
    const { frames } = await connection.run(
      request('', {
        body: [
          "bf_b up\nsha256sum <<'END'\n",
          blob,
          'END\nbf_e up 0\nbf_b down\nhead -c 9000000 /dev/zero\nbf_e down 0\n',
        ],
        maxBytes: 16 << 20,
        streamId: 'down',
        onChunk: (chunk) => {
          streamed += chunk.length;
        },
      }),
    );
    const { createHash } = await import('node:crypto');
    expect(frames.get('up')!.body.toString().slice(0, 64)).toBe(
      createHash('sha256').update(blob).digest('hex'),
    );
    expect(streamed).toBe(9_000_000);
    expect(frames.get('down')!.body.length).toBe(0);
  });
  it('ends early where the caller has seen enough, or its signal says so', async () => {
    const connection = await connect('deploy');
    const start = performance.now();
    const early = await connection.run(
      request('bf_b a; bf_e a 0; sleep 20', { isLast: (frame) => frame.id === 'a' }),
    );
    expect(early.status).toBeNull();
    const stop = new AbortController();
    setTimeout(() => stop.abort(), 300);
    expect((await failureOf(connection.run(request('sleep 20', { signal: stop.signal })))).code).toBe(
      'E_INTERRUPTED',
    );
    expect((await failureOf(connection.run(request('sleep 20', { deadline: 0.5 })))).code).toBe('E_TIMEOUT');
    expect(performance.now() - start).toBeLessThan(10_000);
    expect((await connection.run(request(whoami))).status).toBe(0);
  });
  it('does not wait for what it left running with its stdout', async () => {
    const connection = await connect('deploy');
    const start = performance.now();
    await connection.run(request('sleep 15 &\nbf_b a; bf_e a 0'));
    expect(performance.now() - start).toBeLessThan(5000);
  });
  it('that does not parse runs nothing and says so', async () => {
    const connection = await connect('deploy');
    const error = await failureOf(connection.run(request('touch /tmp/blkfleet-never\nif true; then\n')));
    expect(error.code).toBe('E_PROTOCOL');
    expect(existsSync('/tmp/blkfleet-never')).toBe(false);
  });
  it.each(['pty', 'loud', 'csh', 'root'])('works for user %s', async (user) => {
    const connection = await connect(user);
    expect((await connection.run(request(whoami))).frames.get('id')!.body.toString()).toBe('root\n');
  });
  it.runIf(existsSync(fish))('works for user fish', async () => {
    expect((await (await connect('fish')).run(request(whoami))).frames.size).toBe(1);
  });
});

describe('shells that run nothing', () => {
  it.each([
    ['nologin', 'not available'],
    ['quits', 'status 0'],
    ['forced', 'only backups here'],
    ['echoes', 'ran nothing'],
  ])('%s', async (user, said) => {
    const connection = await connect(user);
    const error = await failureOf(connection.run(request(whoami, { become: false, deadline: 10 })));
    expect(error.code).toBe('E_SHELL');
    expect(error.message).toContain(said);
  });
});

describe('sudo', () => {
  const becomePassword = (text: string) => ({ becomePassword: () => Promise.resolve(text) });
  it('wants a password that nobody gives', async () => {
    const error = await failureOf((await connect('pass')).run(request(whoami)));
    expect([error.code, error.message]).toEqual(['E_SUDO', expect.stringContaining('wants a password')]);
  });
  it('gets it after its prompt, for each script of the connection, and it is in no output', async () => {
    const connection = await connect('pass', becomePassword(PASSWORD));
    for (let round = 0; round < 2; round++) {
      const { frames, stderr } = await connection.run(
        request(`${whoami}bf_b ps; ps axww; tr '\\0' ' ' < /proc/self/environ; bf_e ps 0\n`),
      );
      expect(frames.get('id')!.body.toString()).toBe('root\n');
      expect(frames.get('ps')!.body.includes(PASSWORD)).toBe(false);
      expect(stderr.includes(PASSWORD)).toBe(false);
    }
  });
  it('refuses a wrong one, which is tried once', async () => {
    const error = await failureOf((await connect('pass', becomePassword('wrong'))).run(request(whoami)));
    expect([error.code, error.message]).toEqual(['E_SUDO', expect.stringContaining('did not accept')]);
  });
  it('refuses a user who is not in sudoers', async () => {
    const error = await failureOf((await connect('nosudo', becomePassword(PASSWORD))).run(request(whoami)));
    expect([error.code, error.message]).toEqual(['E_SUDO', expect.stringContaining('may not become root')]);
  });
  it('wants a terminal', async () => {
    const error = await failureOf((await connect('notty')).run(request(whoami)));
    expect([error.code, error.hint]).toEqual(['E_SUDO', expect.stringContaining('!requiretty')]);
  });
  it('never sees the password where it wants none', async () => {
    let asked = 0;
    const connection = await connect('deploy', {
      becomePassword: async () => {
        asked++;
        return PASSWORD;
      },
    });
    await connection.run(request(whoami));
    expect(asked).toBe(0);
  });
});

describe('the network', () => {
  const servers: Server[] = [];
  const sockets = new Set<Socket>();
  const listen = (onSocket: (socket: Socket) => void): Promise<number> =>
    new Promise((resolve) => {
      const server = createServer((socket) => {
        sockets.add(socket);
        socket.on('error', () => {});
        onSocket(socket);
      });
      servers.push(server);
      server.listen(0, '127.0.0.1', () => resolve((server.address() as { port: number }).port));
    });
  const at = (port: number) => host('deploy', { port, host_keys: [sshd.hostKey('ed25519')] });
  afterEach(() => {
    for (const socket of sockets) socket.destroy();
    sockets.clear();
    for (const server of servers.splice(0)) server.close();
  });

  it('refuses, has no such name, says nothing, says nonsense: each its own error, in time', async () => {
    const start = performance.now();
    const quick = transport({ connectTimeout: 1 });
    const closed = await listen(() => {});
    servers.pop()!.close();
    const silent = await listen(() => {});
    const nonsense = await listen((socket) => socket.write(`${'x'.repeat(20_000)}\n`));
    const tarpit = await listen((socket) => {
      const timer = setInterval(() => socket.write('drip\r\n'), 100);
      socket.on('close', () => clearInterval(timer));
    });
    const hangsUp = await listen((socket) => socket.end());
    const codes = await Promise.all(
      [closed, silent, nonsense, tarpit, hangsUp].map(
        async (port) => (await failureOf(quick.connect(at(port)))).code,
      ),
    );
    expect(codes).toEqual(['E_UNREACHABLE', 'E_TIMEOUT', 'E_UNREACHABLE', 'E_TIMEOUT', 'E_UNREACHABLE']);
    expect((await failureOf(quick.connect(host('deploy', { address: 'no-such-host.invalid' })))).code).toBe(
      'E_UNREACHABLE',
    );
    expect(performance.now() - start).toBeLessThan(15_000);
  });
  it('drops early connections: tried again, and it works', async () => {
    let count = 0;
    const port = await listen(async (socket) => {
      if (count++ < 2) return socket.destroy();
      const { connect: dial } = await import('node:net');
      const onward = dial(sshd.port, '127.0.0.1');
      onward.on('error', () => {});
      socket.pipe(onward).pipe(socket);
      socket.on('close', () => onward.destroy());
    });
    await transport().connect(at(port));
    expect(count).toBe(3);
  });
  it('freezes: found by keepalive; breaks: found at once; close does not hang', async () => {
    let frozen = false;
    const piped: Socket[] = [];
    const port = await listen(async (socket) => {
      const { connect: dial } = await import('node:net');
      const onward = dial(sshd.port, '127.0.0.1');
      onward.on('error', () => {});
      piped.push(socket, onward);
      socket.on('data', (data) => frozen || onward.write(data));
      onward.on('data', (data) => frozen || socket.write(data));
    });
    const slow = transport({ keepalive: 0.3, keepaliveMisses: 2 });
    const first = await slow.connect(at(port));
    const running = failureOf(first.run(request('sleep 30')));
    setTimeout(() => {
      frozen = true;
    }, 500);
    expect((await running).code).toBe('E_UNREACHABLE');
    expect(first.alive).toBe(false);
    await first.close();
    frozen = false;
    const second = await slow.connect(at(port));
    const cut = failureOf(second.run(request('sleep 30')));
    setTimeout(() => {
      for (const socket of piped) socket.destroy();
    }, 300);
    expect((await cut).code).toBe('E_UNREACHABLE');
    expect((await failureOf(second.run(request('true')))).code).toBe('E_UNREACHABLE');
  });
  it('flips a byte: nothing of it is believed', async () => {
    let sent = 0;
    const port = await listen(async (socket) => {
      const { connect: dial } = await import('node:net');
      const onward = dial(sshd.port, '127.0.0.1');
      onward.on('error', () => {});
      socket.on('data', (data) => onward.write(data));
      onward.on('data', (data: Buffer) => {
        sent += data.length;
        if (sent > 6000) data[data.length >> 1]! ^= 1;
        socket.write(data);
      });
      socket.on('close', () => onward.destroy());
    });
    const connection = await transport().connect(at(port));
    const error = await failureOf(connection.run(request('bf_b a; head -c 20000 /dev/zero; bf_e a 0')));
    expect(error.code).toBe('E_UNREACHABLE');
  });
  it('is interrupted while it connects', async () => {
    const port = await listen(() => {});
    const stop = new AbortController();
    setTimeout(() => stop.abort(), 200);
    expect((await failureOf(transport().connect(at(port), stop.signal))).code).toBe('E_INTERRUPTED');
  });
});

describe('after close', () => {
  it('no session is left on the server', async () => {
    const connections = await Promise.all([1, 2, 3, 4].map(() => connect('deploy')));
    await Promise.all(connections.map((c) => c.run(request(whoami))));
    await Promise.all(connections.map((c) => c.close()));
    await Promise.all(transports.splice(0).map((t) => t.close()));
    for (let i = 0; i < 50 && sshd.sessions().length > 0; i++) await new Promise((r) => setTimeout(r, 100));
    expect(sshd.sessions()).toEqual([]);
  });
});
