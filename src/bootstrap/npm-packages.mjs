import { existsSync, readFileSync } from 'node:fs';
import { run } from './run.mjs';

/**
 * Installs the npm packages of package-lock.json where node_modules lacks one or has another version.
 * @returns {Promise<boolean>} false when npm failed, which has said why, or was interrupted
 */
export async function installNpmPackages() {
  if (installed()) return true;
  console.log('== npm packages');
  // Not `npm ci`: it refuses a lock that lacks another platform's optional binaries, and a registry need not hold them
  // all. The versions are those of the lock all the same, and --no-save leaves it alone.
  const { status, signal } = await run(['npm', 'install', '--no-save', '--no-progress'], {
    title: 'npm install',
  });
  if (signal) return false;
  if (status !== 0) console.error('npm could not install the packages of package-lock.json: see above');
  return status === 0;
}

function installed() {
  const record = read('node_modules/.package-lock.json');
  const lock = read('package-lock.json');
  if (!record || !lock) return false;
  return Object.entries(lock.packages).every(
    ([path, { version, optional }]) =>
      path === '' || (path in record.packages ? record.packages[path].version === version : optional),
  );
}

// npm that is killed may leave half a record.
function read(file) {
  try {
    return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : null;
  } catch {
    return null;
  }
}
