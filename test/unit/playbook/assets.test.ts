import { createHash } from 'node:crypto';
import { chmodSync, mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { AssetStore } from '../../../src/playbook/assets.ts';
import { literal } from '../../../src/playbook/compiled.ts';
import { Problem } from '../../../src/playbook/problem.ts';
import { Scope } from '../../../src/playbook/scope.ts';
import type { AssetRequest } from '../../../src/resources/kind.ts';
import { Bench } from './bench.ts';

const bench = new Bench();
afterAll(() => bench.remove());
const store = new AssetStore(bench.folder);
const scope = (variables: Record<string, unknown>) =>
  new Scope([new Map(Object.entries(variables).map(([k, v]) => [k, literal(v)]))], true);
const load = (how: AssetRequest['how'], path: string, variables = {}) =>
  store.load({ key: 'src', path, how }, scope(variables));
const sha256 = (text: string | Buffer) => createHash('sha256').update(text).digest('hex');

function problemOf(work: () => unknown): Problem {
  try {
    work();
  } catch (error) {
    if (error instanceof Problem) return error;
    throw error;
  }
  throw new Error('no problem');
}

it('raw bytes stay as they are, and are read once', () => {
  const bytes = Buffer.from([0, 255, 13, 10, 123, 123]);
  bench.write('raw.bin', bytes);
  const asset = load('raw', 'raw.bin');
  expect(asset).toEqual({ sha256: sha256(bytes), bytes });
  bench.write('raw.bin', 'changed since');
  expect(load('raw', './raw.bin')).toBe(asset);
});

it('a template is rendered for each host; equal results are one object', () => {
  bench.write('t.liquid', 'on {{ name }}\n');
  expect(load('template', 't.liquid', { name: 'a' }).bytes!.toString()).toBe('on a\n');
  expect(load('template', 't.liquid', { name: 'b' }).bytes!.toString()).toBe('on b\n');
  expect(load('template', 't.liquid', { name: 'a' })).toBe(load('template', 't.liquid', { name: 'a' }));
});

it('an error in a template file has its place there, on every try', () => {
  bench.write('bad.liquid', 'one\ntwo {{ gone }}\n');
  for (let i = 0; i < 2; i++) {
    const { code, origin, offset } = problemOf(() => load('template', 'bad.liquid'));
    expect(code).toBe('E_UNDEFINED_VARIABLE');
    expect(origin).toHaveProperty('lineOf');
    if (origin && 'lineOf' in origin)
      expect(origin.lineOf(offset)).toEqual({ line: 2, col: 8, excerpt: 'two {{ gone }}' });
  }
});

it('a folder is its files in byte order, with the hash that names them all', () => {
  const folder = join(bench.folder, 'module');
  for (const sub of ['', 'sub', '.git']) mkdirSync(join(folder, sub));
  bench.write('module/b.c', 'b');
  bench.write('module/B.h', 'B');
  bench.write('module/sub/run', '#!/bin/sh\n');
  bench.write('module/.git/config', 'not content');
  chmodSync(join(folder, 'sub/run'), 0o700);
  chmodSync(join(folder, 'b.c'), 0o600);
  const { files, sha256: hash } = load('folder', 'module');
  expect(files!.map(({ path, mode }) => [path, mode])).toEqual([
    ['B.h', 0o644],
    ['b.c', 0o644],
    ['sub/run', 0o755],
  ]);
  expect(hash).toBe(sha256(files!.map((f) => `${f.sha256}  ${f.path}\n`).join('')));
});

it('links and special files do not travel', () => {
  mkdirSync(join(bench.folder, 'linked'));
  symlinkSync('/etc/shadow', join(bench.folder, 'linked/shadow'));
  expect(problemOf(() => load('folder', 'linked')).code).toBe('E_FILE');
  expect(problemOf(() => load('raw', '/dev/zero')).code).toBe('E_FILE');
});

it.for<[AssetRequest['how'], string]>([
  ['raw', 'none'],
  ['raw', '.'],
  ['template', 'none'],
  ['template', 'latin1'],
  ['folder', 'none'],
  ['folder', 'latin1'],
])('%s of %s is an error', ([how, path]) => {
  bench.write('latin1', Buffer.from([0x4d, 0xfc]));
  expect(problemOf(() => load(how, path)).code).toBe('E_FILE');
});
