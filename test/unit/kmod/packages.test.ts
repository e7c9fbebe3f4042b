import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { excludedBy, parseDkmsConf } from '../../../src/facts/dkms-conf.ts';

const repository = new URL('../../../', import.meta.url);
const read = (path: string) => readFileSync(new URL(path, repository), 'utf8');

const packages = [
  // Folders with sources of the module itself: itself, and what programs share with it.
  { name: 'vhost-blk', module: 'vhost_blk', folders: [''], beside: ['vhost-user-bridge'] },
  { name: 'dm-qcow2', module: 'dm_qcow2', folders: ['', 'format/'], beside: [] },
];

describe.each(packages)('$name', ({ name, module, folders, beside }) => {
  const meta = new Map(
    read(`kmod/${module}/META`)
      .trimEnd()
      .split('\n')
      .map((line) => line.split(': ', 2) as [string, string]),
  );
  const { conf, problems } = parseDkmsConf(read(`dkms/${name}/dkms.conf`));

  test('dkms.conf says what META says', () => {
    expect(problems).toEqual([]);
    expect(conf).toMatchObject({ name: meta.get('Name'), version: meta.get('Version') });
    expect(conf?.modules).toEqual([{ built: meta.get('Module'), installed: meta.get('Module') }]);
    expect(conf?.exclusive.min).toBe(meta.get('Linux-Minimum'));
    expect(conf?.exclusive.max).toBe(`${meta.get('Linux-Maximum')}.999`);
  });

  // The regular expression alone, as dkms before 3.0.11 has nothing else.
  test.each([
    ['5.9.0-1-amd64', false],
    ['5.10.0-46-amd64', true],
    ['5.14.0-503.el9.x86_64', true],
    ['5.20.1', false],
    ['5.1.0', false],
    ['6.0.0', true],
    ['6.1.0-56-cloud-amd64', true],
    ['6.12.117+deb13-amd64', true],
    ['7.3.4+deb13-amd64', true],
    ['7.3-rc1', true],
    ['7.3', true],
    ['7.4.1', false],
    ['7.30.1', false],
    ['8.0.0', false],
    ['15.10.1', false],
  ])('BUILD_EXCLUSIVE_KERNEL for %s', (release, builds) => {
    const { kernel } = conf!.exclusive;
    expect(excludedBy({ ...conf!, exclusive: { kernel: kernel! } }, release, 'x86_64') === undefined).toBe(
      builds,
    );
  });

  test('the folders that make the package have no file of the same name', () => {
    const own = readdirSync(fileURLToPath(new URL(`dkms/${name}`, repository)));
    expect(own).toContain('dkms.conf');
    const all = [module, ...beside].flatMap((folder) =>
      readdirSync(fileURLToPath(new URL(`kmod/${folder}`, repository))),
    );
    expect([...own, ...all].filter((file, i, list) => list.indexOf(file) < i)).toEqual([]);
  });

  test('every object that Kbuild names has its source, and every source is built', () => {
    const kbuild = read(`kmod/${module}/Kbuild`);
    const objects = [...kbuild.matchAll(new RegExp(`^${module}-y [:+]= (.*)$`, 'gm'))].flatMap((line) =>
      line[1]!.split(' '),
    );
    const sources = folders.flatMap((folder) =>
      readdirSync(fileURLToPath(new URL(`kmod/${module}/${folder}`, repository)))
        .filter((file) => /(?<!\.mod)\.c$/.test(file))
        .map((file) => folder + file),
    );
    expect(objects.map((file) => file.replace(/\.o$/, '.c')).sort()).toEqual(sources.sort());
  });
});
