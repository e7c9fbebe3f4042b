import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseSshG, SshConfig } from '../../../src/transport/ssh/ssh-config.ts';
import { DEFAULT_IDENTITIES, evaluate, parseSshConfig } from '../../../src/transport/ssh/ssh-config-file.ts';

const settings = (text: string, alias = 'hv1', given: { port?: number; user?: string } = {}) =>
  evaluate([parseSshConfig(text)!], alias, { ...given, login: 'me' });

describe('a simple ssh_config', () => {
  it('the first value wins, identity files add up', () => {
    const text = `
# comment
User first
Host hv*  !hv9
  HostName = 10.0.0.1
  Port 2222
  IdentityFile ~/.ssh/a
  IdentityFile "~/.ssh/with space"
  User second
Host *
  IdentityFile ~/.ssh/c
  Port 7
  ProxyJump bastion
`;
    expect(settings(text)).toMatchObject({
      hostname: '10.0.0.1',
      port: 2222,
      user: 'first',
      identityFiles: ['~/.ssh/a', '~/.ssh/with space', '~/.ssh/c'],
      proxyJump: 'bastion',
    });
    expect(settings(text, 'hv9')).toMatchObject({ hostname: 'hv9', port: 7, identityFiles: ['~/.ssh/c'] });
  });

  it('what the inventory gives goes first', () => {
    expect(settings('Port 7\nUser x', 'hv1', { port: 22, user: 'root' })).toMatchObject({
      port: 22,
      user: 'root',
    });
  });

  it('knows ssh’s defaults and none', () => {
    expect(settings('ProxyJump none\nProxyCommand nc %h %p')).toMatchObject({
      hostname: 'hv1',
      port: 22,
      user: 'me',
      identityFiles: DEFAULT_IDENTITIES,
      proxyJump: null,
      proxyCommand: null,
      identitiesOnly: false,
      hashKnownHosts: false,
    });
  });

  it.each([
    ['Match', 'Match host x\n  User y'],
    ['Include', 'Include other'],
    ['a token', 'HostName %h.example'],
    ['an escape', 'User a\\ b'],
    ['a single quote', "User 'a'"],
    ['an open quote', 'User "a'],
    ['a comment behind a value', 'User a # b'],
    ['CanonicalizeHostname', 'CanonicalizeHostname yes'],
    ['no keyword', '= x'],
  ])('leaves %s to ssh -G', (_, text) => {
    expect(parseSshConfig(text)).toBeNull();
  });
});

describe('the output of ssh -G', () => {
  it('is read by keyword', () => {
    const text =
      'host hv1\nuser root\nhostname 10.0.0.1\nport 2200\nidentityfile ~/.ssh/a\nidentityfile ~/.ssh/b\nidentitiesonly yes\nproxyjump none\nproxycommand nc a b\nuserknownhostsfile /a /b\n';
    expect(parseSshG(text)).toMatchObject({
      hostname: '10.0.0.1',
      port: 2200,
      user: 'root',
      identityFiles: ['~/.ssh/a', '~/.ssh/b'],
      identitiesOnly: true,
      proxyJump: null,
      proxyCommand: 'nc a b',
      userKnownHostsFiles: ['/a', '/b'],
    });
  });
});

describe('a configuration that ssh itself reads', () => {
  it('runs no command of it: a Match that would is refused, one that does not get there is not', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'blkfleet-ssh-config-'));
    try {
      const file = join(folder, 'config');
      const mark = join(folder, 'mark');
      writeFileSync(
        file,
        `Match host hv1 exec "touch ${mark}"\n  User other\nMatch all\n  User me\n  Port 2222\n`,
        { mode: 0o600 },
      );
      const config = new SshConfig(file);
      await expect(config.resolve('hv1', 'hv1', {})).rejects.toMatchObject({ code: 'E_INVENTORY' });
      expect(await config.resolve('hv2', 'hv2', {})).toMatchObject({ user: 'me', port: 2222 });
      expect(existsSync(mark)).toBe(false);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('what ssh says of a broken one is told without its debugging', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'blkfleet-ssh-config-'));
    try {
      const file = join(folder, 'config');
      writeFileSync(file, 'Match nonsense\n', { mode: 0o600 });
      const error = await new SshConfig(file).resolve('hv1', 'hv1', {}).catch((e) => e);
      expect(error.code).toBe('E_INVENTORY');
      expect(error.message).toContain('config');
      expect(error.message).not.toMatch(/debug1|OpenSSH_/);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
