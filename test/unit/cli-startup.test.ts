import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';

const repository = fileURLToPath(new URL('../../', import.meta.url));
let folder: string;
let cli: string;

// Under node_modules, so that what stays outside of the bundle is found from there.
beforeAll(() => {
  mkdirSync(join(repository, 'node_modules/.cache'), { recursive: true });
  folder = mkdtempSync(join(repository, 'node_modules/.cache/cli-startup-'));
  execFileSync(process.execPath, ['src/bootstrap/build.mjs', join(folder, 'dist')], { cwd: repository });
  cli = join(folder, 'dist/cli.js');
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** The source files that a run of the CLI loads: of chunks by their source maps, of packages by their paths. */
function loadedBy(args: readonly string[]): string[] {
  const log = join(folder, 'loaded');
  const hooks = `import { appendFileSync } from 'node:fs';
export async function load(url, context, next) {
  appendFileSync(${JSON.stringify(log)}, url + '\\n');
  return next(url, context);
}`;
  writeFileSync(join(folder, 'hooks.mjs'), hooks);
  writeFileSync(
    join(folder, 'register.mjs'),
    `import { register } from 'node:module';\nregister(${JSON.stringify(pathToFileURL(join(folder, 'hooks.mjs')).href)});\n`,
  );
  writeFileSync(log, '');
  const { status, stderr } = spawnSync(
    process.execPath,
    ['--import', pathToFileURL(join(folder, 'register.mjs')).href, cli, ...args],
    { encoding: 'utf8' },
  );
  expect(status, stderr).toBe(0);
  const files = readFileSync(log, 'utf8')
    .split('\n')
    .filter((url) => url.startsWith('file:'))
    .map((url) => fileURLToPath(url));
  return files.flatMap((file) => {
    if (!file.startsWith(join(folder, 'dist'))) return [file];
    const { sources } = JSON.parse(readFileSync(`${file}.map`, 'utf8')) as { sources: string[] };
    return sources.map((source) => join(dirname(file), source));
  });
}

const packageOf = (file: string) => /.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(file)?.[1];

test('--help loads commander and no other library', () => {
  const packages = new Set(loadedBy(['--help']).map(packageOf).filter(Boolean));
  expect([...packages]).toEqual(['commander']);
});

test('a command that needs libraries loads them, so that the test above can see', () => {
  const inventory = join(folder, 'inventory.yaml');
  writeFileSync(inventory, 'all: { hosts: { here: { address: local } } }\n');
  const packages = new Set(loadedBy(['facts', '-i', inventory, '--json']).map(packageOf));
  expect(packages).toContain('yaml');
  expect(packages).toContain('zod');
});

test('--help costs little more than starting Node', () => {
  const usage = join(folder, 'usage.mjs');
  writeFileSync(
    usage,
    `process.on('exit', () => {
  const { user, system } = process.cpuUsage();
  console.error('CPU ' + (user + system) / 1e6);
});\n`,
  );
  const nothing = join(folder, 'nothing.mjs');
  writeFileSync(nothing, '');
  const seconds = (...argv: string[]) => {
    const { stderr } = spawnSync(process.execPath, ['--import', pathToFileURL(usage).href, ...argv], {
      encoding: 'utf8',
    });
    return Number(/^CPU (\S+)$/m.exec(stderr)?.[1]);
  };
  // Both in turn, on the same machine under the same load: 0.06 s and 0.1 s where nothing else runs.
  const pairs = Array.from({ length: 5 }, () => [seconds(nothing), seconds(cli, '--help')] as const);
  const [bare, help] = [0, 1].map((at) => Math.min(...pairs.map((pair) => pair[at]!)));
  expect(help! / bare!).toBeLessThan(3);
});
