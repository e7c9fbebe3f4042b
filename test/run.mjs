// The test command: sets up what a bare machine lacks, builds the CLI, runs types, lint and the vitest projects one after
// the other, looks for what they left behind, and ends with the counts alone on a line.
// Arguments: projects to run (default: all); --full runs the long forms of tests too.
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { installDebianPackages } from '../src/bootstrap/debian-packages.mjs';
import { installNpmPackages } from '../src/bootstrap/npm-packages.mjs';
import { debianPackages } from '../src/bootstrap/packages.mjs';
import { Leftovers } from './setup/leftovers.mjs';
import { runStage } from './setup/stage.mjs';

process.chdir(fileURLToPath(new URL('..', import.meta.url)));

const flags = process.argv.slice(2).filter((word) => word.startsWith('-'));
const full = flags.includes('--full');

// Minutes after which a project counts as hung: several times what a cold machine with two cores needs.
const limits = { unit: 10, hosts: 45, kernel: full ? 600 : 75, lab: 45 };

const chosen = process.argv.slice(2).filter((word) => !word.startsWith('-'));
for (const word of [
  ...flags.filter((flag) => flag !== '--full'),
  ...chosen.filter((name) => !(name in limits)),
]) {
  console.error(
    `unknown argument '${word}': expected --full, or projects: ${Object.keys(limits).join(', ')}`,
  );
  process.exit(64);
}

const started = Date.now();
if (!(await installNpmPackages()) || !(await installDebianPackages(debianPackages.test))) {
  console.error('the tests can not run: see above');
  process.exit(1);
}

const total = { passed: 0, failed: 0, skipped: 0 };
const times = [];
const interrupt = new AbortController();
let signalled;
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'])
  process.on(name, () => {
    if (signalled) return;
    signalled = name;
    console.error(`\n${name}: ending what runs; again has no effect`);
    interrupt.abort();
  });

const leftovers = new Leftovers();
const folder = mkdtempSync(join(tmpdir(), 'blkfleet-test-'));
const table = join(folder, 'table');
const env = { BLKFLEET_TEST_TABLE: table, ...(full ? { BLKFLEET_TEST_FULL: '1' } : {}) };
try {
  await runAll();
  if (existsSync(table)) console.log(readFileSync(table, 'utf8').trimEnd());
  await checkLeftovers();
} finally {
  rmSync(folder, { recursive: true, force: true });
  leftovers.close();
}
console.log(
  `\ntime: ${times.map(([name, seconds]) => `${name} ${seconds} s`).join(', ')}; all ${since(started)} s`,
);
if (signalled) console.log(`interrupted by ${signalled}: what did not run is not counted`);
console.log(
  `${total.passed} passed, ${total.failed} failed${total.skipped > 0 ? `, ${total.skipped} skipped` : ''}`,
);
process.exit(signalled ? 128 + constants.signals[signalled] : total.failed > 0 || total.passed === 0 ? 1 : 0);

async function runAll() {
  if (!(await check('build', ['node', 'src/bootstrap/build.mjs']))) return;
  if (chosen.length === 0) {
    await check('types', ['npx', '--no-install', 'tsc', '--noEmit']);
    await check('lint', ['npx', '--no-install', 'biome', 'check', 'src', 'test']);
  }
  for (const project of chosen.length > 0 ? chosen : Object.keys(limits)) await runProject(project);
}

/** A stage that counts as one test. */
async function check(name, argv) {
  if (interrupt.signal.aborted) return false;
  const ok = await timed(name, () => runStage(leftovers, argv, { signal: interrupt.signal }));
  if (!interrupt.signal.aborted) total[ok ? 'passed' : 'failed']++;
  return ok;
}

async function runProject(project) {
  if (interrupt.signal.aborted) return;
  const output = join(folder, `${project}.json`);
  const reporters = ['default', './test/setup/progress-reporter.mjs', 'json'];
  const ok = await timed(project, () =>
    runStage(
      leftovers,
      [
        ...['npx', '--no-install', 'vitest', 'run', '--project', project],
        ...reporters.map((reporter) => `--reporter=${reporter}`),
        `--outputFile.json=${output}`,
      ],
      { env, minutes: limits[project], signal: interrupt.signal },
    ),
  );
  const result = existsSync(output) ? JSON.parse(readFileSync(output, 'utf8')) : null;
  if (result) {
    total.passed += result.numPassedTests;
    total.failed += result.numFailedTests;
    total.skipped += result.numPendingTests + result.numTodoTests;
  }
  if (interrupt.signal.aborted) return;
  if (!result) console.error(`${project}: vitest ended without a result`);
  // A file that can not be loaded, or an error outside of tests, counts no test of its own.
  if (!result || (!ok && result.numFailedTests === 0)) total.failed++;
}

/** What tests leave behind is a failure, named here; processes are then ended. */
async function checkLeftovers() {
  // A killed tree takes a moment to go, more so with many namespaces.
  const left = () => [...leftovers.processes().map(({ text }) => text), ...leftovers.things()];
  for (let wait = 0; wait < 50 && left().length > 0; wait++) await sleep(100);
  const lines = left();
  if (lines.length === 0) {
    total.passed++;
    return;
  }
  total.failed++;
  console.error(`== left behind\n${lines.map((line) => `   ${line}`).join('\n')}`);
  leftovers.endProcesses();
}

async function timed(name, work) {
  console.log(`== ${name}`);
  const start = Date.now();
  try {
    return await work();
  } finally {
    times.push([name, since(start)]);
  }
}

function since(start) {
  return Math.round((Date.now() - start) / 1000);
}
