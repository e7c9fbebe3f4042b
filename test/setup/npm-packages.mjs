import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';

/**
 * Installs the npm packages of package-lock.json where node_modules lacks one or has another version.
 * @returns false when npm failed; it has said why
 */
export function installNpmPackages() {
  if (installed()) return true;
  console.log('== npm packages');
  // Not `npm ci`: it refuses a lock that lacks another platform's optional binaries, and a registry need not hold them
  // all. The versions are those of the lock all the same, and --no-save leaves it alone.
  const { status, error } = spawnSync('npm', ['install', '--no-save', '--no-progress'], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  if (error) console.error(`npm: ${error.message}`);
  return status === 0;
}

function installed() {
  const record = 'node_modules/.package-lock.json';
  if (!existsSync(record)) return false;
  const there = JSON.parse(readFileSync(record, 'utf8')).packages;
  const wanted = JSON.parse(readFileSync('package-lock.json', 'utf8')).packages;
  return Object.entries(wanted).every(
    ([path, { version, optional }]) =>
      path === '' || (path in there ? there[path].version === version : optional),
  );
}
