import { spawnSync } from 'node:child_process';
import { existsSync, rmSync, writeFileSync } from 'node:fs';

/**
 * Installs those of the named Debian packages that the machine lacks, by apt, with sudo where this process is not root.
 * @param {readonly string[]} names
 * @returns {boolean} false when it could not, with the reason on stderr
 */
export function installDebianPackages(names) {
  const missing = names.filter((name) => !isInstalled(name));
  if (missing.length === 0) return true;
  console.log(`== Debian packages: ${missing.join(' ')}`);
  const by = `as root: apt-get install --no-install-recommends ${missing.join(' ')}`;
  if (!existsSync('/usr/bin/apt-get')) {
    console.error(`the tests need Debian's packages ${missing.join(' ')}, and this machine has no apt`);
    return false;
  }
  const root = process.getuid?.() === 0;
  if (!root && spawnSync('sudo', ['-n', 'true'], { stdio: 'ignore' }).status !== 0) {
    console.error(`may not install packages: this user is not root and sudo wants a password. Run ${by}`);
    return false;
  }
  // sshd is needed as a program; nothing shall begin to listen on this machine because tests were run.
  const policy = '/usr/sbin/policy-rc.d';
  const guarded = root && !existsSync(policy);
  if (guarded) writeFileSync(policy, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  try {
    const apt = (...args) =>
      spawnSync(root ? 'apt-get' : 'sudo', [...(root ? [] : ['-n', 'apt-get']), '-q', ...args], {
        stdio: ['ignore', 'inherit', 'inherit'],
        env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
      }).status === 0;
    const install = ['install', '--yes', '--no-install-recommends', ...missing];
    // Old lists of another repository must not be in the way: what is needed may be there all the same.
    apt('update');
    if (apt(...install)) return true;
  } finally {
    if (guarded) rmSync(policy, { force: true });
  }
  console.error(`apt could not install ${missing.join(' ')}. Run ${by}`);
  return false;
}

function isInstalled(name) {
  const query = spawnSync('dpkg-query', ['-W', '-f', `\${db:Status-Status}`, name], { encoding: 'utf8' });
  return query.status === 0 && query.stdout === 'installed';
}
