import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';

const script = fileURLToPath(new URL('../../../kmod/vhost_blk/compat/probe.sh', import.meta.url));
let folder: string;
let header: string;
/** The compiler, counted: each call leaves a line. */
let compiler: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'blkfleet-probe-'));
  header = join(folder, 'probed.h');
  compiler = join(folder, 'cc');
  execFileSync('mkdir', [join(folder, 'probes')]);
  writeFileSync(compiler, `#!/bin/sh\necho call >>"${folder}/calls"\nexec cc "$@"\n`, { mode: 0o755 });
  write('always', 'int probe(void) { return 0; }');
});
afterEach(() => rmSync(folder, { recursive: true }));

const write = (name: string, text: string) => writeFileSync(join(folder, 'probes', `${name}.c`), `${text}\n`);
const run = () => spawnSync('sh', [script, header, join(folder, 'probes'), compiler], { encoding: 'utf8' });
const found = () => readFileSync(header, 'utf8').match(/(?<=^#define HAVE_)\w+(?= 1$)/gm);
const calls = () => readFileSync(join(folder, 'calls'), 'utf8').trim().split('\n').length;

test('one compilation tells all; what each defines is its own', () => {
  write('there', '#include <stdio.h>\nint probe(FILE *f) { return fclose(f); }');
  expect(run().status).toBe(0);
  expect(found()).toEqual(['ALWAYS', 'THERE']);
  expect(calls()).toBe(1);
});

test('a missing function, a wrong type and too many arguments fail their probe alone', () => {
  write('lacks', 'int probe(void) { return blkfleet_no_such_function(); }');
  write('pointer', 'long probe(char *c) { int *i = c; return *i; }');
  write('there', 'int probe = 1;');
  write('arguments', 'static int one(int a) { return a; }\nint probe(void) { return one(1, 2); }');
  expect(run().status).toBe(0);
  expect(found()).toEqual(['ALWAYS', 'THERE']);
  expect(calls()).toBe(1);
});

test('a missing header, which ends a compilation, does not hide the probes behind it', () => {
  write('b_lacks', '#include <blkfleet/no_such_header.h>\nint probe;');
  write('c_there', 'int probe;');
  expect(run().status).toBe(0);
  expect(found()).toEqual(['ALWAYS', 'C_THERE']);
  expect(calls()).toBe(4);
});

test('headers that can not be used at all end the build with what the compiler said', () => {
  write('always', '#include <blkfleet/no_such_header.h>\nint probe;');
  const { status, stderr } = run();
  expect(status).toBe(1);
  expect(stderr).toContain('the kernel headers can not be used');
  expect(stderr).toContain('no_such_header.h');
});
