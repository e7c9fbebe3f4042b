import { readdirSync, readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { join, normalize, relative, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';

const source = resolve(import.meta.dirname, '../../src');

interface Import {
  file: string;
  /** a file of src, or a package */
  target: string;
  inside: boolean;
  typeOnly: boolean;
  /** import('…'), loaded when it is needed */
  lazy: boolean;
}

const files = readdirSync(source, { recursive: true, encoding: 'utf8' }).filter((file) => /\.ts$/.test(file));
const imports = files.flatMap(importsOf);

function importsOf(file: string): Import[] {
  const text = readFileSync(join(source, file), 'utf8');
  const found: Import[] = [];
  const add = (specifier: string, typeOnly: boolean, lazy: boolean) => {
    if (specifier.startsWith('node:')) return;
    const inside = specifier.startsWith('.');
    const target = inside
      ? relative(source, normalize(join(source, file, '..', specifier)))
      : packageOf(specifier);
    found.push({ file, target, inside, typeOnly, lazy });
  };
  for (const [, type, specifier] of text.matchAll(
    /^(?:import|export)\s+(type\s)?(?:[^'";]*?\sfrom\s+)?'([^']+)';/gm,
  ))
    add(specifier!, type !== undefined, false);
  for (const [, specifier] of text.matchAll(/\bimport\('([^']+)'\)/g)) add(specifier!, false, true);
  return found;
}

function packageOf(specifier: string): string {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
}

const folderOf = (file: string) => (file.includes('/') ? file.slice(0, file.indexOf('/')) : file);
const told = (list: readonly Import[]) => list.map(({ file, target }) => `${file} → ${target}`);

/** What each folder may import from the others; cli may import anything, and nothing imports cli. */
const allowed: Readonly<Record<string, readonly string[]>> = {
  lib: [],
  facts: ['lib'],
  events: ['lib'],
  config: ['lib'],
  resources: ['facts', 'lib'],
  inventory: ['config', 'lib'],
  playbook: ['config', 'facts', 'inventory', 'resources', 'lib'],
  reference: ['facts', 'inventory', 'playbook', 'resources', 'lib'],
  transport: ['inventory', 'lib'],
  engine: ['events', 'facts', 'inventory', 'playbook', 'resources', 'transport', 'lib'],
  bench: ['events', 'transport', 'lib'],
  ui: ['events', 'lib'],
  report: ['events', 'lib'],
  lab: ['lib'],
};

describe('folders', () => {
  it('reads the imports of the tree', () => {
    expect(files.length).toBeGreaterThan(100);
    expect(told(imports)).toContain('playbook/load.ts → config/yaml.ts');
    expect(told(imports)).toContain('config/source.ts → yaml');
    expect(imports.some(({ lazy, file }) => lazy && file === 'cli/main.ts')).toBe(true);
  });

  it('every import names a file that is there', () => {
    expect(told(imports.filter(({ inside, target }) => inside && !files.includes(target)))).toEqual([]);
  });

  it.for(Object.entries(allowed))('%s imports only what lies below it', ([folder, others]) => {
    const wrong = imports.filter(
      ({ file, target, inside }) =>
        inside && folderOf(file) === folder && ![folder, ...others].includes(folderOf(target)),
    );
    expect(told(wrong)).toEqual([]);
  });

  it('every folder of TypeScript has its rule', () => {
    const folders = new Set(files.map(folderOf));
    expect([...folders].filter((folder) => folder !== 'cli' && !(folder in allowed))).toEqual([]);
  });

  it('the engine knows of the transport its interface alone', () => {
    const known = imports.filter(
      ({ file, target }) => folderOf(file) === 'engine' && folderOf(target) === 'transport',
    );
    expect(new Set(known.map(({ target }) => target))).toEqual(new Set(['transport/connection.ts']));
  });

  it('a resource kind knows no other kind', () => {
    const kindOf = (file: string) => /^resources\/([^/]+)\//.exec(file)?.[1];
    const wrong = imports.filter(({ file, target }) => {
      const [own, other] = [kindOf(file), kindOf(target)];
      return own !== undefined && other !== undefined && own !== other;
    });
    expect(told(wrong)).toEqual([]);
  });

  it('no file imports itself by way of others', () => {
    const next = new Map<string, string[]>();
    for (const { file, target, inside, typeOnly, lazy } of imports)
      if (inside && !typeOnly && !lazy) next.set(file, [...(next.get(file) ?? []), target]);
    const state = new Map<string, 'open' | 'done'>();
    const cycles: string[] = [];
    const visit = (file: string, way: readonly string[]) => {
      if (state.get(file) === 'open') cycles.push([...way.slice(way.indexOf(file)), file].join(' → '));
      if (state.has(file)) return;
      state.set(file, 'open');
      for (const target of next.get(file) ?? []) visit(target, [...way, file]);
      state.set(file, 'done');
    };
    for (const file of files) visit(file, []);
    expect(cycles).toEqual([]);
  });
});

/** One folder owns each library; zod stands beside what it describes. */
const owners: Readonly<Record<string, readonly string[]>> = {
  ssh2: ['transport/ssh/'],
  listr2: ['ui/'],
  yaml: ['config/'],
  commander: ['cli/'],
  liquidjs: ['playbook/'],
  '@marcbachmann/cel-js': ['playbook/'],
  picomatch: ['inventory/'],
  diff: ['lib/'],
};

describe('libraries', () => {
  it.for(Object.entries(owners))('%s belongs to %j', ([library, folders]) => {
    const users = imports.filter(({ target, inside }) => !inside && target === library);
    expect(told(users.filter(({ file }) => !folders.some((folder) => file.startsWith(folder))))).toEqual([]);
    expect(users.length).toBeGreaterThan(0);
  });

  it('every package is a dependency, and every dependency is used', () => {
    const { dependencies } = JSON.parse(readFileSync(join(source, '../package.json'), 'utf8')) as {
      dependencies: Record<string, string>;
    };
    const used = new Set(imports.filter(({ inside }) => !inside).map(({ target }) => target));
    for (const name of builtinModules) used.delete(name);
    expect([...used].sort()).toEqual(Object.keys(dependencies).sort());
  });
});
