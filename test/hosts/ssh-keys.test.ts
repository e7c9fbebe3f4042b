import { execFileSync, spawn } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  cpSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { SshTransportOptions } from '../../src/transport/index.ts';
import { failureOf, host, scratch, sshd, transport, useSshHosts } from './ssh-hosts.ts';
import { makeKey } from './sshd.ts';

useSshHosts();

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
