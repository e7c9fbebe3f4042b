import { spawnSync } from 'node:child_process';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { run } from './run.mjs';

/**
 * Installs those of the named Debian packages that the machine lacks, by apt, with sudo where this process is not root.
 * @param {readonly string[]} names
 * @returns {Promise<boolean>} false when it could not, with the reason on stderr
 */
export async function installDebianPackages(names) {
  const missing = names.filter((name) => !isInstalled(name));
  if (missing.length === 0) return true;
  console.log(`== Debian packages: ${missing.join(' ')}`);
  const by = `as root: apt-get install --no-install-recommends ${missing.join(' ')}`;
  if (!existsSync('/usr/bin/apt-get')) {
    console.error(`Debian's packages ${missing.join(' ')} are needed, and this machine has no apt`);
    return false;
  }
  const root = process.getuid?.() === 0;
  if (!root && !maySudo()) {
    console.error(`may not install packages: this user is not root and sudo does not let it. Run ${by}`);
    return false;
  }
  // Some of these carry daemons; nothing shall begin to listen on this machine because of us.
  const policy = '/usr/sbin/policy-rc.d';
  const guarded = root && !existsSync(policy);
  if (guarded) writeFileSync(policy, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  try {
    const apt = async (...args) => {
      const argv = ['env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get', '-q', ...args];
      return run(root ? argv : ['sudo', ...argv], { title: `apt-get ${args[0]}` });
    };
    const install = ['install', '--yes', '--no-install-recommends', ...missing];
    // Old lists of another repository must not be in the way: what is needed may be there all the same.
    if ((await apt('update')).signal) return false;
    const { status, signal } = await apt(...install);
    if (signal) return false;
    if (status === 0) return true;
  } finally {
    if (guarded) rmSync(policy, { force: true });
  }
  console.error(`apt could not install ${missing.join(' ')}. Run ${by}`);
  return false;
}

/** Where someone sits at the terminal sudo may ask for the password. */
function maySudo() {
  if (spawnSync('sudo', ['-n', 'true'], { stdio: 'ignore' }).status === 0) return true;
  if (process.stdin.isTTY !== true || process.stderr.isTTY !== true) return false;
  console.log('sudo asks for your password to install them:');
  return spawnSync('sudo', ['-v'], { stdio: 'inherit' }).status === 0;
}

function isInstalled(name) {
  const query = spawnSync('dpkg-query', ['-W', '-f', `\${db:Status-Status}`, name], { encoding: 'utf8' });
  return query.status === 0 && query.stdout === 'installed';
}
