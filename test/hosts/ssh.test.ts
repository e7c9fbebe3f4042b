import { execFileSync, spawn } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  cpSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Host } from '../../src/inventory/host.ts';
import { FleetError } from '../../src/lib/errors.ts';
import type { Connection, ScriptRequest, Transport } from '../../src/transport/connection.ts';
import { createTransport, type SshTransportOptions } from '../../src/transport/index.ts';
import { makeKey, PASSWORD, TestSshd } from './sshd.ts';

const SUDOERS = `
Defaults env_reset
Defaults:notty requiretty
Defaults:pty use_pty
root ALL=(ALL:ALL) ALL
deploy,csh,fish,loud,pty,notty ALL=(root) NOPASSWD: ALL
pass ALL=(root) ALL
`;
const fish = '/usr/bin/fish';
let sshd: TestSshd;
let scratch: string;
const transports: Transport[] = [];

beforeAll(async () => {
  scratch = mkdtempSync(join(tmpdir(), 'blkfleet-ssh-test-'));
  sshd = await TestSshd.start({
    sudoers: SUDOERS,
    users: [
      { name: 'root', uid: 0 },
      { name: 'deploy', uid: 5001, shell: '/bin/bash' },
      { name: 'pass', uid: 5002 },
      { name: 'nosudo', uid: 5003 },
      { name: 'notty', uid: 5004 },
      { name: 'pty', uid: 5005 },
      { name: 'csh', uid: 5006, shell: '/bin/csh' },
      { name: 'fish', uid: 5007, shell: fish },
      { name: 'nologin', uid: 5008, shell: '/usr/sbin/nologin' },
      {
        name: 'loud',
        uid: 5009,
        shell: '/bin/bash',
        bashrc: 'echo "Welcome!"; echo "to the host"; printf "no newline"\n',
      },
      { name: 'quits', uid: 5010, shell: '/bin/bash', bashrc: 'exit 0\n' },
      { name: 'forced', uid: 5011, keyOptions: 'command="echo only backups here"' },
      { name: 'floods', uid: 5012, shell: '/bin/bash', bashrc: 'yes "this never ends"\n' },
      { name: 'echoes', uid: 5013, keyOptions: 'command="cat"' },
    ],
  });
});

afterEach(async () => {
  await Promise.all(transports.splice(0).map((t) => t.close()));
});

afterAll(async () => {
  await sshd?.remove();
  rmSync(scratch, { recursive: true, force: true });
});

function transport(options: Partial<SshTransportOptions> = {}): Transport {
  const made = createTransport({
    hostKeys: 'strict',
    knownHostsFiles: [sshd.knownHosts],
    sshConfigFile: null,
    connectTimeout: 5,
    ...options,
  });
  transports.push(made);
  return made;
}

function host(user: string, connection: Partial<Host['connection']> = {}): Host {
  return {
    name: `${user}-host`,
    groups: [],
    vars: {},
    connection: { address: '127.0.0.1', port: sshd.port, user, identity_file: sshd.identity, ...connection },
  };
}

const request = (body: string, more: Partial<ScriptRequest> = {}): ScriptRequest => ({
  body: [body],
  become: true,
  deadline: 30,
  maxBytes: 1 << 20,
  ...more,
});
const whoami = 'bf_b id\nid -un\nbf_e id $?\n';

async function connect(user: string, options?: Partial<SshTransportOptions>): Promise<Connection> {
  return transport(options).connect(host(user));
}

/** The one diagnostic of a rejection; its code is what callers compare. */
async function failureOf(promise: Promise<unknown>): Promise<FleetError> {
  const error = await promise.then(
    () => new Error('it did not fail'),
    (reason) => reason,
  );
  if (!(error instanceof FleetError)) throw error;
  expect(error.diagnostics[0]!.host).toBeTruthy();
  expect(JSON.stringify(error.diagnostics)).not.toContain(PASSWORD);
  return error;
}

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

describe('host keys', () => {
  const knownHosts = (text: string) => {
    const path = join(mkdtempSync(join(scratch, 'kh-')), 'known_hosts');
    writeFileSync(path, text);
    return path;
  };
  const name = () => `[127.0.0.1]:${sshd.port}`;
  const otherKey = () => {
    const path = join(mkdtempSync(join(scratch, 'key-')), 'k');
    makeKey(path, 'ed25519');
    return readFileSync(`${path}.pub`, 'utf8').split(' ').slice(0, 2).join(' ');
  };
  const attempt = (path: string, options: Partial<SshTransportOptions> = {}, vars = {}) =>
    transport({ knownHostsFiles: [path], ...options }).connect(host('deploy', vars));

  it('unknown: refused with the fingerprint, before any login', async () => {
    const error = await failureOf(attempt(knownHosts('')));
    expect(error.code).toBe('E_HOST_KEY');
    const print = execFileSync('ssh-keygen', ['-lf', join(sshd.folder, 'host_ed25519.pub')], {
      encoding: 'utf8',
    }).split(' ')[1]!;
    expect(error.message).toContain(print);
  });
  it('changed, revoked, only a CA: refused, also by accept-new, and nothing is written', async () => {
    for (const text of [
      `${name()} ${otherKey()}\n`,
      `${name()} ${sshd.hostKey('ed25519')}\n@revoked ${name()} ${sshd.hostKey('ed25519')}\n`,
      `@cert-authority * ${otherKey()}\n`,
    ]) {
      const path = knownHosts(text);
      expect((await failureOf(attempt(path))).code).toBe('E_HOST_KEY');
      if (!text.startsWith('@cert')) {
        expect((await failureOf(attempt(path, { hostKeys: 'accept-new' }))).code).toBe('E_HOST_KEY');
        expect(readFileSync(path, 'utf8')).toBe(text);
      }
    }
  });
  it('of another type known: that type is asked for, and a host without it refused', async () => {
    await attempt(knownHosts(`${name()} ${sshd.hostKey('ecdsa')}\n`));
    const rsa = join(scratch, 'rsa');
    makeKey(rsa, 'rsa');
    const path = knownHosts(`${name()} ${readFileSync(`${rsa}.pub`, 'utf8')}`);
    expect((await failureOf(attempt(path))).code).toBe('E_HOST_KEY');
  });
  it('hashed by ssh-keygen: found', async () => {
    const path = knownHosts(`${name()} ${sshd.hostKey('ed25519')}\n`);
    execFileSync('ssh-keygen', ['-q', '-H', '-f', path], { stdio: 'ignore' });
    expect(readFileSync(path, 'utf8')).toMatch(/^\|1\|/);
    await attempt(path);
  });
  it('new, with accept-new: taken once, written for ssh to find, then strict', async () => {
    const path = join(mkdtempSync(join(scratch, 'new-')), 'sub/known_hosts');
    const notices: string[] = [];
    const shared = transport({
      knownHostsFiles: [path],
      hostKeys: 'accept-new',
      onNotice: (_host, text) => notices.push(text),
    });
    await Promise.all([1, 2, 3].map(() => shared.connect(host('deploy'))));
    expect(notices).toHaveLength(1);
    expect(readFileSync(path, 'utf8').trim().split('\n')).toHaveLength(1);
    execFileSync('ssh-keygen', ['-F', name(), '-f', path]);
    await attempt(path);
  });
  it('pinned: by key and by fingerprint; a pin that does not fit refuses', async () => {
    const print = execFileSync('ssh-keygen', ['-lf', join(sshd.folder, 'host_ed25519.pub')], {
      encoding: 'utf8',
    }).split(' ')[1]!;
    const none = knownHosts('');
    await attempt(none, {}, { host_keys: [sshd.hostKey('ecdsa')] });
    await attempt(none, {}, { host_keys: [print] });
    expect((await failureOf(attempt(sshd.knownHosts, {}, { host_keys: [otherKey()] }))).code).toBe(
      'E_HOST_KEY',
    );
    expect((await failureOf(attempt(none, {}, { host_keys: ['nonsense'] }))).code).toBe('E_HOST_KEY');
  });
});

describe('login', () => {
  const login = (identity: string | undefined, more: Partial<SshTransportOptions> = {}) =>
    transport(more).connect(host('deploy', { identity_file: identity }));
  const copyKey = (name: string, mode = 0o600) => {
    const path = join(scratch, name);
    cpSync(sshd.identity, path);
    chmodSync(path, mode);
    return path;
  };

  it('by a PEM key', async () => {
    const path = join(scratch, 'pem');
    execFileSync('ssh-keygen', ['-q', '-t', 'rsa', '-b', '2048', '-m', 'PEM', '-N', '', '-f', path]);
    const authorized = join(sshd.folder, 'home/deploy/.ssh/authorized_keys');
    appendFileSync(authorized, readFileSync(`${path}.pub`));
    await login(path);
    const pkcs8 = join(scratch, 'pkcs8');
    writeFileSync(
      pkcs8,
      (await import('node:crypto'))
        .createPrivateKey(readFileSync(path))
        .export({ type: 'pkcs8', format: 'pem' }),
      { mode: 0o600 },
    );
    await login(pkcs8);
  });
  it('says what was wrong with the key', async () => {
    const stranger = join(scratch, 'stranger');
    makeKey(stranger, 'ed25519');
    const locked = join(scratch, 'locked');
    makeKey(locked, 'ed25519', 'a passphrase');
    for (const [path, said, hint] of [
      [stranger, stranger, 'authorized_keys'],
      [locked, 'encrypted', `ssh-add ${locked}`],
      [copyKey('open', 0o644), 'others may read it', 'chmod 600'],
      [join(scratch, 'none'), 'does not exist', 'identity_file'],
      [`${sshd.identity}.pub`, 'it is a public key', 'without .pub'],
    ] as const) {
      if (path.endsWith('.pub')) chmodSync(path, 0o600);
      const error = await failureOf(login(path));
      expect(error.code).toBe('E_AUTH');
      expect(error.message).toContain(said);
      expect(error.hint).toContain(hint);
    }
  });
  it('by an agent, also for an encrypted key file it holds; a dead one is named', async () => {
    const socket = join(scratch, 'agent');
    const agent = spawn('ssh-agent', ['-D', '-a', socket], { stdio: 'ignore' });
    const config = join(scratch, 'agent_config');
    writeFileSync(config, `Host *\n  IdentityAgent ${socket}\n`);
    try {
      for (let i = 0; i < 50 && !existsSync(socket); i++) await new Promise((r) => setTimeout(r, 50));
      execFileSync('ssh-add', ['-q', sshd.identity], {
        env: { ...process.env, SSH_AUTH_SOCK: socket },
        stdio: 'ignore',
      });
      await login(undefined, { sshConfigFile: config });
      const locked = copyKey('locked-by-agent');
      execFileSync('ssh-keygen', ['-q', '-p', '-N', 'a passphrase', '-f', locked]);
      await login(locked, { sshConfigFile: config });
    } finally {
      agent.kill();
      await new Promise((resolve) => agent.once('exit', resolve));
    }
    const error = await failureOf(login(copyKey('locked-by-agent-2', 0o644), { sshConfigFile: config }));
    expect([error.code, error.message]).toEqual(['E_AUTH', expect.stringContaining('agent')]);
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

describe('jump hosts', () => {
  it('are passed through, one and two, shared by hosts, with host keys checked at each hop', async () => {
    const shared = transport();
    const hop = `nosudo@127.0.0.1:${sshd.port}`;
    const config = join(scratch, 'jump_config');
    writeFileSync(config, `Host *\n  IdentityFile ${sshd.identity}\n  IdentitiesOnly yes\n`);
    const jumping = transport({ sshConfigFile: config });
    const connections = await Promise.all(
      [1, 2, 3].map(() => jumping.connect(host('deploy', { jump: hop }))),
    );
    for (const connection of connections)
      expect((await connection.run(request(whoami))).frames.get('id')!.body.toString()).toBe('root\n');
    const twice = await jumping.connect(host('deploy', { jump: `${hop},pass@127.0.0.1:${sshd.port}` }));
    expect((await twice.run(request(whoami))).status).toBe(0);
    const people = execFileSync('ps', ['axo', 'args'], { encoding: 'utf8' });
    expect(people.match(/sshd: nosudo \[priv\]/g)).toHaveLength(1);
    expect((await failureOf(shared.connect(host('deploy', { jump: 'nosudo@127.0.0.1:1' })))).code).toBe(
      'E_UNREACHABLE',
    );
  });
  it('can be names of the inventory; a circle and a dead end are told', async () => {
    const bastion: Host = { ...host('nosudo'), name: 'bastion' };
    const inventory = (name: string) => (name === 'bastion' ? bastion : undefined);
    const connection = await transport({ inventory }).connect(host('deploy', { jump: 'bastion' }));
    expect((await connection.run(request(whoami))).status).toBe(0);
    const circle = { ...bastion, connection: { ...bastion.connection, jump: 'bastion' } };
    const round = transport({ inventory: () => circle }).connect(host('deploy', { jump: 'bastion' }));
    expect((await failureOf(round)).code).toBe('E_INVENTORY');
    const end = transport({ inventory }).connect(host('deploy', { jump: 'bastion', port: 1 }));
    expect((await failureOf(end)).code).toBe('E_UNREACHABLE');
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
