// The test command: sets up what a bare machine lacks, runs the vitest projects one after the other, and ends with the
// counts alone on a line. Names on the command line choose projects.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

process.chdir(fileURLToPath(new URL('..', import.meta.url)));

function run(command, args) {
  const { status, error } = spawnSync(command, args, { stdio: ['ignore', 'inherit', 'inherit'] });
  if (error) console.error(`${command}: ${error.message}`);
  return status ?? 1;
}

// Not `npm ci`: it refuses a lock that lacks another platform's optional binaries, and a registry need not hold them all.
// The versions are those of the lock all the same, and --no-save leaves it alone.
if (
  !existsSync('node_modules/.package-lock.json') &&
  run('npm', ['install', '--no-save', '--no-progress']) !== 0
) {
  console.error('npm install failed: the tests need the packages of package-lock.json');
  process.exit(1);
}

const known = ['unit', 'hosts', 'kernel', 'lab'];
// What a plain run holds; the other files of a project run when it is named. They join as the parts they test land.
const plain = { unit: [], hosts: ['test/hosts/engine-local.test.ts'] };
const chosen = process.argv.slice(2).filter((word) => !word.startsWith('-'));
const projects = chosen.length > 0 ? chosen : Object.keys(plain);
for (const name of chosen)
  if (!known.includes(name)) {
    console.error(`no test project '${name}': ${known.join(', ')}`);
    process.exit(64);
  }

const total = { passed: 0, failed: 0, skipped: 0 };
if (chosen.length === 0) {
  for (const [name, args] of [
    ['types', ['tsc', '--noEmit']],
    ['lint', ['biome', 'check', 'src', 'test']],
  ]) {
    console.log(`== ${name}`);
    if (run('npx', ['--no-install', ...args]) === 0) total.passed++;
    else total.failed++;
  }
}
const folder = mkdtempSync(join(tmpdir(), 'blkfleet-test-'));
try {
  for (const project of projects) {
    console.log(`== ${project}`);
    const output = join(folder, `${project}.json`);
    const status = run('npx', [
      '--no-install',
      'vitest',
      'run',
      '--project',
      project,
      ...(chosen.length > 0 ? [] : plain[project]),
      '--reporter=default',
      '--reporter=json',
      `--outputFile.json=${output}`,
    ]);
    const result = existsSync(output) ? JSON.parse(readFileSync(output, 'utf8')) : null;
    if (!result) total.failed++;
    else {
      total.passed += result.numPassedTests;
      total.failed += result.numFailedTests;
      total.skipped += result.numPendingTests + result.numTodoTests;
      // A file that could not be loaded counts no test of its own.
      if (status !== 0 && result.numFailedTests === 0) total.failed++;
    }
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
console.log(
  `${total.passed} passed, ${total.failed} failed${total.skipped > 0 ? `, ${total.skipped} skipped` : ''}`,
);
process.exit(total.failed > 0 || total.passed === 0 ? 1 : 0);
