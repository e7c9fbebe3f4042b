import { describe, expect, it } from 'vitest';
import { dkms } from '../../../../src/resources/dkms/index.ts';
import { packageOf, readPackage } from '../../../../src/resources/dkms/package.ts';
import { dkmsSchema } from '../../../../src/resources/dkms/schema.ts';
import { conf, demo } from './input.ts';

describe('a package', () => {
  it('is its folders, merged, without what a build left in them', () => {
    const input = demo(
      { 'dkms.conf': conf() },
      {
        'demo.c': 'x',
        'demo.o': 'product',
        '.demo.o.cmd': 'product',
        'Module.symvers': 'product',
        'sub/a.h': 'y',
      },
    );
    expect(packageOf(input)!.files.map((file) => file.path)).toEqual(['demo.c', 'dkms.conf', 'sub/a.h']);
  });

  it('is the same whatever the order of the folders, and another when a byte differs', () => {
    const one = packageOf(demo({ 'dkms.conf': conf() }, { 'demo.c': 'x' }))!;
    const two = packageOf(demo({ 'demo.c': 'x' }, { 'dkms.conf': conf() }))!;
    expect(two.sha256).toBe(one.sha256);
    expect(two.archive.sha256).toBe(one.archive.sha256);
    expect(packageOf(demo({ 'dkms.conf': conf() }, { 'demo.c': 'y' }))!.sha256).not.toBe(one.sha256);
  });

  it('is packed once for all hosts', () => {
    const input = demo();
    expect(packageOf({ ...input })).toBe(packageOf(input));
  });

  it('has files that stand in two folders only where they are equal', () => {
    expect(readPackage(demo({ 'dkms.conf': conf(), a: '1' }, { a: '1' })).problems).toEqual([]);
    expect(readPackage(demo({ 'dkms.conf': conf(), a: '1' }, { a: '2' })).problems).toHaveLength(1);
  });

  it.each([
    ['no dkms.conf', { 'demo.c': '' }],
    // Each of these makes some dkms end with 0 where nothing was done, or breaks apt.
    ['a shell error at its end', { 'dkms.conf': conf('if true; then\n') }],
    ['a command', { 'dkms.conf': conf('PACKAGE_VERSION="$(touch /tmp/x)"\n') }],
    ['AUTOINSTALL', { 'dkms.conf': conf('AUTOINSTALL="yes"\n') }],
    ['PRE_BUILD', { 'dkms.conf': conf('PRE_BUILD="configure.sh"\n') }],
    ['POST_INSTALL', { 'dkms.conf': conf('POST_INSTALL="x"\n') }],
    ['OBSOLETE_BY', { 'dkms.conf': conf('OBSOLETE_BY="6.1"\n') }],
    ['BUILD_DEPENDS', { 'dkms.conf': conf('BUILD_DEPENDS="other"\n') }],
    ['BUILD_EXCLUSIVE_CONFIG', { 'dkms.conf': conf('BUILD_EXCLUSIVE_CONFIG="CONFIG_X"\n') }],
    ['a version with a /', { 'dkms.conf': conf().replace('"1.0"', '"1/0"') }],
    ['a name with a space', { 'dkms.conf': conf(), 'a b.c': '' }],
  ])('is refused with %s, before any host is contacted', (_what, files) => {
    const problems = dkms.check!(demo(files));
    expect(problems.length).toBeGreaterThan(0);
    expect(problems[0]!.key).toBe('source');
  });
});

it('the schema wants a source, or a name to remove', () => {
  const ok = (value: unknown) => dkmsSchema.safeParse(value).success;
  expect(ok({})).toBe(false);
  expect(ok({ state: 'absent' })).toBe(false);
  expect(ok({ state: 'absent', name: 'demo' })).toBe(true);
  expect(ok({ state: 'absent', name: '../demo' })).toBe(false);
  expect(ok({ source: 'demo', name: 'demo' })).toBe(false);
  expect(ok({ source: [] })).toBe(false);
});
