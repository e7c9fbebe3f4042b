import { chmodSync, chownSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { makeOpensshKey } from './openssh-key.ts';

/** Who may become root on the hosts: without a password, with LOGIN_PASSWORD, or nobody. */
export type SudoPolicy = 'nopasswd' | 'password' | 'none';

export const LOGIN_USER = 'deploy';
/** A text that no output may ever show. */
export const LOGIN_PASSWORD = 'Quiet-Canary-31';
// crypt(3) of LOGIN_PASSWORD, by `openssl passwd -6`.
const passwordHash =
  '$6$blkfleet$bVtCpSENNaa/wifTNDinh9du75Gjg1J9qG4DZtMPR/P9YmgI9xrSKaqKK7mjc0iLFMThOxrKla71ngya0CC6M1';
const uid = 1000;

const sshdConfig = `ListenAddress 0.0.0.0
HostKey /etc/ssh/ssh_host_ed25519_key
PidFile none
UsePAM no
UseDNS no
PrintMotd no
PasswordAuthentication no
KbdInteractiveAuthentication no
MaxStartups 500
LogLevel ERROR
`;

/**
 * Writes the layer that all hosts of a fleet share, over the Debian root: the login user, sudo, sshd, apt.
 * @param loginKey what authorized_keys holds
 * @param repository address of the fleet's apt repository, or undefined for none
 */
export function writeCommonLayer(
  layer: string,
  root: string,
  { loginKey, sudo, repository }: { loginKey: string; sudo: SudoPolicy; repository: string | undefined },
): void {
  const append = (path: string, line: string, mode: number) =>
    put(layer, path, `${readFileSync(join(root, path), 'utf8')}${line}\n`, mode);
  // sshd refuses a user whose password field begins with '!'.
  const hash = sudo === 'password' ? passwordHash : '*';
  append('etc/passwd', `${LOGIN_USER}:x:${uid}:${uid}::/home/${LOGIN_USER}:/bin/sh`, 0o644);
  append('etc/group', `${LOGIN_USER}:x:${uid}:`, 0o644);
  append('etc/shadow', `${LOGIN_USER}:${hash}:19000:0:99999:7:::`, 0o640);
  for (const folder of ['', '/.ssh']) {
    const home = join(layer, `home/${LOGIN_USER}${folder}`);
    mkdirSync(home, { recursive: true, mode: 0o755 });
    chownSync(home, uid, uid);
    chmodSync(home, 0o700);
  }
  put(layer, `home/${LOGIN_USER}/.ssh/authorized_keys`, `${loginKey}\n`, 0o600, uid);
  const rights = { nopasswd: 'ALL=(ALL) NOPASSWD: ALL', password: 'ALL=(ALL) ALL', none: '' }[sudo];
  put(layer, 'etc/sudoers.d/deploy', rights ? `${LOGIN_USER} ${rights}\n` : '', 0o440);
  put(layer, 'etc/ssh/sshd_config', sshdConfig, 0o644);
  put(layer, 'etc/apt/sources.list', repository ? `deb [trusted=yes] ${repository} ./\n` : '', 0o644);
  for (const name of readdirSync(join(root, 'etc/apt/sources.list.d')))
    put(layer, `etc/apt/sources.list.d/${name}`, '', 0o644);
  put(layer, 'etc/apt/apt.conf.d/90hosts', 'APT::Sandbox::User "root";\nAcquire::Languages "none";\n', 0o644);
  // The file systems of a host live in memory and for minutes.
  put(layer, 'etc/dpkg/dpkg.cfg.d/hosts', 'force-unsafe-io\n', 0o644);
}

/**
 * Writes what only this host has: its name and its host key.
 * @returns the host key as known_hosts wants it
 */
export function writeHostLayer(layer: string, name: string): string {
  const key = makeOpensshKey();
  put(layer, 'etc/hostname', `${name}\n`, 0o644);
  put(layer, 'etc/hosts', `127.0.0.1 localhost ${name}\n`, 0o644);
  put(layer, 'etc/ssh/ssh_host_ed25519_key', key.privateKey, 0o600);
  put(layer, 'etc/ssh/ssh_host_ed25519_key.pub', `${key.publicKey}\n`, 0o644);
  return key.publicKey;
}

function put(layer: string, path: string, content: string, mode: number, owner = 0): void {
  const file = join(layer, path);
  mkdirSync(dirname(file), { recursive: true, mode: 0o755 });
  writeFileSync(file, content);
  chmodSync(file, mode);
  chownSync(file, owner, owner);
}
