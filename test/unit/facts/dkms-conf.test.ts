import { spawnSync } from 'node:child_process';
import { expect, it } from 'vitest';
import { excludedBy, parseDkmsConf } from '../../../src/facts/dkms-conf.ts';

const base = `PACKAGE_NAME="vhost-blk"
PACKAGE_VERSION="0.1.0"
BUILT_MODULE_NAME[0]="vhost_blk"
DEST_MODULE_LOCATION[0]="/kernel/extra"
`;

it('reads a package', () => {
  const { conf, problems } = parseDkmsConf(`# ours
${base}DEST_MODULE_NAME[0]="$PACKAGE_NAME"
BUILT_MODULE_NAME[1]='other'
DEST_MODULE_LOCATION[1]=/updates
MAKE[0]="make -C $kernel_source_dir M=$dkms_tree/$PACKAGE_NAME/$PACKAGE_VERSION/build modules" # builds
CLEAN="true"
BUILD_EXCLUSIVE_KERNEL="^(5\\.1[0-9]|[67]\\.[0-9]+)\\."
BUILD_EXCLUSIVE_KERNEL_MIN="5.10"
AUTOINSTALL=""
`);
  expect(problems).toEqual([]);
  expect(conf).toEqual({
    name: 'vhost-blk',
    version: '0.1.0',
    modules: [
      { built: 'vhost_blk', installed: 'vhost-blk' },
      { built: 'other', installed: 'other' },
    ],
    exclusive: { kernel: '^(5\\.1[0-9]|[67]\\.[0-9]+)\\.', min: '5.10' },
  });
});

it.each([
  ['AUTOINSTALL="yes"', 5],
  ['PRE_BUILD="configure.sh"', 5],
  ['POST_INSTALL=x', 5],
  ['OBSOLETE_BY="6.2"', 5],
  ['BUILD_EXCLUSIVE_CONFIG="CONFIG_VHOST"', 5],
  ['if [ "$kernelver" ]; then', 5],
  ['X="$(id)"', 5],
  ['CLEAN="$(touch /tmp/x)"', 5],
  ['CLEAN="`id`"', 5],
  ['CLEAN="a\\\\$(id)"', 5],
  ['CLEAN="${x:-$(id)}"', 5],
  ['CLEAN="true"; rm -rf /', 5],
  ['CLEAN=true id', 5],
  ['PACKAGE_NAME="again"', 5],
  ['BUILT_MODULE_NAME[0]="../../x"', 5],
  ['BUILD_EXCLUSIVE_KERNEL="(("', 5],
  ['BUILD_EXCLUSIVE_KERNEL_MIN="5.10-rc1"', 5],
  ['UNKNOWN="x"', 5],
])('refuses %s', (line, at) => {
  const { conf, problems } = parseDkmsConf(`${base}${line}\n`);
  expect(conf).toBeUndefined();
  expect(problems.map((problem) => problem.line)).toContain(at);
});

it.each([
  '',
  base.replace('vhost-blk', 'a b'),
  base.replace('vhost-blk', '../x'),
  base.replace('0.1.0', '1/2'),
  base.replace('[0]="vhost_blk"', '="vhost_blk"'),
  base.replace('"/kernel/extra"', '"/kernel/../../../etc"'),
])('refuses a file that lacks or bends a name (%#)', (text) => {
  expect(parseDkmsConf(text).conf).toBeUndefined();
});

it('reads the same as the shell that dkms runs it in', () => {
  const text = `${base}BUILD_EXCLUSIVE_KERNEL="^6\\.1\\\\."\nBUILD_EXCLUSIVE_ARCH='x86.*'\n`;
  const shell = spawnSync('bash', [
    '-c',
    `${text}printf '%s|%s' "$BUILD_EXCLUSIVE_KERNEL" "$BUILD_EXCLUSIVE_ARCH"`,
  ]);
  const { conf } = parseDkmsConf(text);
  expect(`${conf?.exclusive.kernel}|${conf?.exclusive.arch}`).toBe(shell.stdout.toString());
});

it.each([
  [{ min: '5.10' }, '5.4.0-1-amd64', true],
  [{ min: '5.10' }, '5.10.0-46-amd64', false],
  [{ max: '6.12' }, '6.12.117+deb13-amd64', true],
  [{ max: '6.12.999' }, '6.12.117+deb13-amd64', false],
  [{ kernel: '^6\\.' }, '5.10.0-46-amd64', true],
  [{ arch: 'aarch64' }, '6.1.0-1', true],
  [{}, '2.6.18', false],
])('%j excludes %s: %s', (exclusive, release, excluded) => {
  const conf = { ...parseDkmsConf(base).conf!, exclusive };
  expect(excludedBy(conf, release, 'x86_64') !== undefined).toBe(excluded);
});
