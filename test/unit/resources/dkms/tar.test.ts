import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { foldersOf, tarOf } from '../../../../src/resources/dkms/tar.ts';

const file = (path: string, text = path, mode = 0o644) => {
  const bytes = Buffer.from(text);
  return { path, mode, bytes, sha256: createHash('sha256').update(bytes).digest('hex') };
};
const files = [
  file('Kbuild'),
  file('check/run.sh', '#!/bin/sh\n', 0o755),
  file('compat/probes/a.c', 'x'.repeat(1500)),
];

describe('tarOf', () => {
  it('makes what GNU tar lists: folders first, root, time 0', () => {
    const listed = execFileSync('tar', ['--numeric-owner', '--full-time', '-tvf', '-'], {
      input: tarOf(files),
      env: { ...process.env, TZ: 'UTC', LC_ALL: 'C' },
      encoding: 'utf8',
    });
    expect(
      listed
        .trim()
        .split('\n')
        .map((line) =>
          line
            .split(/\s+/)
            .filter((_w, i) => i !== 2)
            .join(' '),
        ),
    ).toEqual([
      'drwxr-xr-x 0/0 1970-01-01 00:00:00 check/',
      'drwxr-xr-x 0/0 1970-01-01 00:00:00 compat/',
      'drwxr-xr-x 0/0 1970-01-01 00:00:00 compat/probes/',
      '-rw-r--r-- 0/0 1970-01-01 00:00:00 Kbuild',
      '-rwxr-xr-x 0/0 1970-01-01 00:00:00 check/run.sh',
      '-rw-r--r-- 0/0 1970-01-01 00:00:00 compat/probes/a.c',
    ]);
  });

  it('keeps contents, also where they end in the middle of a block', () => {
    const text = execFileSync('tar', ['-xOf', '-', 'compat/probes/a.c'], { input: tarOf(files) });
    expect(text.equals(files[2]!.bytes)).toBe(true);
  });

  it('is the same bytes each time', () => {
    expect(tarOf(files).equals(tarOf(files.map((one) => ({ ...one }))))).toBe(true);
  });

  it('splits a long path, and refuses one that no header can hold', () => {
    const long = `${'d'.repeat(90)}/${'e'.repeat(90)}/f.c`;
    expect(execFileSync('tar', ['-tf', '-'], { input: tarOf([file(long)]), encoding: 'utf8' })).toContain(
      long,
    );
    expect(() => tarOf([file('n'.repeat(120))])).toThrow(RangeError);
  });
});

it('foldersOf names parents before children, each once', () => {
  expect(foldersOf([file('a/b/c/x'), file('a/b/y'), file('z')])).toEqual(['a', 'a/b', 'a/b/c']);
});
