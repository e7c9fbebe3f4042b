import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { FleetError } from '../../../../src/lib/errors.ts';
import type { Input } from '../../../../src/resources/kind.ts';
import {
  configFile,
  configPath,
  HELPER,
  helperFile,
  notePath,
  unitFile,
  unitPath,
  wantsPath,
} from '../../../../src/resources/qcow2_device/files.ts';
import { qcow2Device } from '../../../../src/resources/qcow2_device/index.ts';
import { planDevice } from '../../../../src/resources/qcow2_device/plan.ts';
import { parseDevice } from '../../../../src/resources/qcow2_device/probe.ts';
import { type Qcow2DeviceDesired, qcow2DeviceSchema } from '../../../../src/resources/qcow2_device/schema.ts';
import { deviceSteps } from '../../../../src/resources/qcow2_device/steps.ts';
import { debianFacts } from '../facts.ts';
import { changeLines, runProbe } from '../shell.ts';

const image = '/srv/images/db.qcow2';
const declare = (more = {}): Input<Qcow2DeviceDesired> => ({
  desired: qcow2DeviceSchema.parse({ name: 'db', image, ...more }),
  assets: {},
});
const absent = declare({ state: 'absent' });

const able = ['module', 'tool', 'dmsetup'];

/** Our files, the link for the boot and the lines of the config, as they stand after an apply. */
function filed({ desired }: Input<Qcow2DeviceDesired> = declare()): string[] {
  const files = [configFile(desired), unitFile(desired), helperFile()];
  return [
    ...files.map(({ sha256, path }) => `${sha256}  ${path}`),
    'helper',
    'enabled',
    `kept ${wantsPath('db')}`,
    ...configFile(desired)
      .bytes.toString()
      .trimEnd()
      .split('\n')
      .map((line) => `config ${line}`),
  ];
}

const device = ['device dm-3', 'ro 0', 'suspended 0', 'diskseq 41'];
const table = 'table 0 8388608 qcow2 2 qcow2:131 raw:7 1 cache_kib:8192';
const status = 'status 0 8388608 qcow2 rw 2 512/2048 5 3 100 2 0 4 0 2';
const note = ['node dm-3', 'diskseq 41', 'file 2049:131', `image ${image}`].map((line) => `note ${line}`);
const attached = ['image 2049:131', ...device, table, status, 'open 0', `kept ${notePath('db')}`, ...note];
const all = [...able, ...filed(), ...attached];

const swap = (lines: readonly string[], changed: Readonly<Record<string, string>>) =>
  lines.map((line) => {
    const key = Object.keys(changed).find((start) => line.startsWith(start));
    return key === undefined ? line : changed[key]!;
  });

const state = (lines: readonly string[], input = declare()) =>
  parseDevice(Buffer.from(`${lines.join('\n')}\n`), input);

function plan(lines: readonly string[], input = declare(), facts = debianFacts()) {
  return planDevice(input, state(lines, input), { facts });
}

const titles = (lines: readonly string[], input = declare()) =>
  deviceSteps(input, state(lines, input)).map(({ title }) => title);

describe('a declaration', () => {
  const refused = (more: object) => !qcow2DeviceSchema.safeParse({ name: 'db', image, ...more }).success;

  it.each(['', '.', '..', '-r', 'a/b', 'a b', 'a+b', "a'b", 'control', 'ü', 'x'.repeat(65)])(
    'has no name %j',
    (name) => expect(refused({ name })).toBe(true),
  );

  it.each(['db', 'vm-1.disk_0', '0'])('may have the name %j', (name) =>
    expect(refused({ name })).toBe(false),
  );

  it.each([
    'db.qcow2',
    '/',
    '/a/../b',
    '/a//b',
    '/a/',
    '/a\nimage /etc/shadow',
    '/a"b',
    '/a\\b',
    `/${'x'.repeat(256)}`,
    `${'/0123456789'.repeat(100)}`,
  ])('has no image %j', (path) => expect(refused({ image: path })).toBe(true));

  it("may have an image with what a shell or systemd would take: /srv/a b$(id)'%n", () => {
    const input = declare({ image: "/srv/a b$(id)'%n.qcow2" });
    expect(unitFile(input.desired).bytes.toString()).toContain(
      'RequiresMountsFor="/srv/a b$(id)\'%%n.qcow2"\n',
    );
    expect(configFile(input.desired).bytes.toString()).toContain("\nimage /srv/a b$(id)'%n.qcow2\n");
  });

  it.each([
    ['no image', { image: undefined }],
    ['a cache that the kernel would round', { cache_kib: 8193 }],
    ['a cache smaller than what is kept in any case', { cache_kib: 1024 }],
    ['more bases than the tool takes', { base: Array.from({ length: 17 }, (_, i) => `/srv/${i}`) }],
    ['a base that is no path', { base: ['bases'] }],
  ])('is refused with %s', (_what, more) => expect(refused(more)).toBe(true));

  it('that is absent needs no image, and may keep the one it had', () => {
    expect(qcow2DeviceSchema.safeParse({ name: 'db', state: 'absent' }).success).toBe(true);
    expect(refused({ state: 'absent' })).toBe(false);
  });
});

describe('a device that shall be there', () => {
  it('is ok where all is as declared', () => {
    expect(plan(all)).toMatchObject({ status: 'ok', reason: expect.stringContaining(`${image}, rw`) });
    expect(plan(swap(all, { 'open 0': 'open 2' })).status).toBe('ok');
  });

  it('is attached: its files first, the boot last', () => {
    const bare = [...able, 'image 2049:131'];
    expect(changeLines(plan(bare))).toEqual([
      `config: null → ${configPath('db')}`,
      `unit: null → ${unitPath('db')}`,
      'boot: null → attached',
      `attached: null → ${image}, rw`,
    ]);
    expect(titles(bare)).toEqual([
      `write ${configPath('db')} and its unit`,
      'attach db',
      'attach db at boot',
    ]);
    expect(titles(bare, declare({ boot: false }))).toHaveLength(2);
  });

  it('tells what a task before it has to bring', () => {
    const found = plan([]);
    expect(found.status === 'change' && found.changes.at(-1)?.reason).toMatch(
      /the image, the module dm_qcow2, \S+blkfleet-qcow2, dmsetup;/,
    );
  });

  it('has its config told field by field', () => {
    const before = declare({ cache_kib: 4096, base: ['/srv/old'], read_only: true });
    expect(changeLines(plan([...able, ...filed(before), ...attached]))).toEqual([
      'config.read_only: yes → no',
      'config.base: /srv/old → null',
      'config.cache_kib: 4096 → 8192',
    ]);
  });

  it('has its config written anew where a hand left no field that differs', () => {
    const lines = all.map((line) => line.replace(configFile(declare().desired).sha256, '0'.repeat(64)));
    expect(changeLines(plan(lines))).toEqual([`config: differs → ${configPath('db')}`]);
    const linked = all.map((line) => (line.endsWith(configPath('db')) ? `link ${configPath('db')}` : line));
    expect(changeLines(plan(linked))).toEqual([`config: differs → ${configPath('db')}`]);
  });

  it.each([
    ['another unit', (line: string) => line.replace(/^\S{64}(?= .*\.service)/, '0'.repeat(64))],
    ['another helper', (line: string) => line.replace(new RegExp(`^\\S{64}(?= +${HELPER})`), '0'.repeat(64))],
    ['a helper that is no program', (line: string) => (line === 'helper' ? '' : line)],
  ])('has its unit written anew with %s', (_what, edit) => {
    expect(changeLines(plan(all.map(edit)))).toEqual([`unit: differs → ${unitPath('db')}`]);
    expect(titles(all.map(edit))).toHaveLength(1);
  });

  it('is attached at boot, or not', () => {
    const without = all.filter((line) => line !== 'enabled' && !line.startsWith(`kept ${wantsPath('db')}`));
    expect(changeLines(plan(without))).toEqual(['boot: null → attached']);
    expect(changeLines(plan(all, declare({ boot: false })))).toEqual(['boot: attached → null']);
    expect(changeLines(plan(without, declare({ boot: false })))).toEqual([]);
    const astray = all.filter((line) => line !== 'enabled');
    expect(changeLines(plan(astray))).toEqual(['boot: differs → attached']);
    expect(changeLines(plan(astray, declare({ boot: false })))).toEqual(['boot: differs → null']);
  });

  it.each<[string, Record<string, string>, string]>([
    ['a mode', { 'ro 0': 'ro 1' }, 'read_only: true → false'],
    ['a cache', { table: 'table 0 8388608 qcow2 1 qcow2:131 1 cache_kib:4096' }, 'cache_kib: 4096 → 8192'],
    [
      'a file that has the name now',
      { 'image 2049': 'image 2049:200' },
      `image: ${image}, inode 131 → ${image}`,
    ],
    [
      'an image of the same inode in another file system',
      { 'note file': 'note file 2050:131', 'note image': 'note image /mnt/db.qcow2' },
      `image: /mnt/db.qcow2 → ${image}`,
    ],
    [
      'an image that somebody attached by hand',
      { 'image 2049': 'image 2049:200', 'note diskseq': 'note diskseq 40' },
      `image: inode 131 → ${image}`,
    ],
  ])('is attached anew for %s', (_what, changed, line) => {
    const lines = swap(all, changed);
    expect(changeLines(plan(lines))).toEqual([line]);
    expect(titles(lines).slice(-2)).toEqual(['detach db', 'attach db']);
    expect(titles(lines)).toHaveLength(line.startsWith('image') ? 3 : 2);
    const used = swap(lines, { 'open 0': 'open 1' });
    expect(plan(used)).toMatchObject({ status: 'held', state: 'pending-drain' });
    expect(plan([...lines, 'holder dm-4'])).toMatchObject({ status: 'held', state: 'pending-drain' });
    expect(plan(lines.filter((text) => text !== 'open 0'))).toMatchObject({ status: 'held' });
  });

  it('counts a note of an earlier device of that name for nothing', () => {
    const lines = swap(all, { 'note diskseq': 'note diskseq 40', 'note image': 'note image /mnt/x.qcow2' });
    expect(plan(lines).status).toBe('ok');
  });

  it('in use keeps its image, and gets its files', () => {
    const input = declare({ cache_kib: 16384 });
    const lines = swap(all, { 'open 0': 'open 1' });
    const found = plan(lines, input);
    expect(changeLines(found)).toEqual(['config.cache_kib: 8192 → 16384']);
    expect(found).toMatchObject({ warnings: [expect.stringMatching(/^pending-drain: /)] });
    expect(titles(lines, input)).toEqual([`write ${configPath('db')} and its unit`]);
  });

  it.each<[string, Record<string, string>, string]>([
    ['is suspended', { 'suspended 0': 'suspended 1' }, 'suspended'],
    ['has failed', { status: 'status 0 8388608 qcow2 failed 2 512/2048 5 3 100 2 1 4 0 2' }, 'failed'],
  ])('that %s is left to people', (_what, changed, name) => {
    const found = plan(swap(all, changed));
    expect(found).toMatchObject({ status: 'held', state: name });
    expect(titles(swap(all, changed))).toEqual([]);
  });

  it.each<[string, readonly string[]]>([
    ['of another target', swap(all, { table: 'table 0 8388608 linear 8:0 0' })],
    ['of two targets', [...all, 'table 8388608 8 zero']],
    ['without dmsetup', all.filter((line) => line !== 'dmsetup')],
    ['whose image is a folder', swap(all, { 'image 2049': 'image other' })],
    ['whose image was removed', all.filter((line) => line !== 'image 2049:131')],
  ])('is stopped for where one %s is there', (_what, lines) => {
    expect(plan(lines)).toMatchObject({ status: 'blocked' });
  });
});

describe('a device that shall not be there', () => {
  it('is ok where nothing is kept', () => {
    expect(plan([], absent)).toMatchObject({ status: 'ok' });
    expect(plan([...able, ...device, 'table 0 8388608 linear 8:0 0'], absent)).toMatchObject({
      status: 'ok',
      reason: expect.stringContaining('not ours'),
    });
  });

  it('is detached, and all that is kept goes', () => {
    expect(changeLines(plan(all, absent))).toEqual([
      'boot: attached → null',
      `unit: ${unitPath('db')} → null`,
      `config: ${configPath('db')} → null`,
      `attached: ${image}, rw → null`,
    ]);
    expect(titles(all, absent)).toEqual(['detach db', 'remove what is kept of db']);
  });

  it('in use is not detached, and keeps what does so at shutdown', () => {
    const used = swap(all, { 'open 0': 'open 1' });
    expect(changeLines(plan(used, absent))).toEqual(['boot: attached → null']);
    expect(titles(used, absent)).toEqual(['do not attach db at boot']);
    const later = used.filter((line) => line !== 'enabled' && !line.startsWith(`kept ${wantsPath('db')}`));
    expect(plan(later, absent)).toMatchObject({ status: 'held', state: 'pending-drain' });
    expect(titles(later, absent)).toEqual([]);
  });

  it('that has failed may go', () => {
    const failed = swap(all, { status: 'status 0 8388608 qcow2 failed 2 512/2048 5 3 100 2 1 4 0 2' });
    expect(titles(failed, absent)).toEqual(['detach db', 'remove what is kept of db']);
  });

  it('by somebody else goes too, but not one of another target', () => {
    expect(changeLines(plan([...able, ...device, table, 'open 0'], absent))).toEqual([
      'attached: inode 131, rw → null',
    ]);
    const foreign = swap(all, { table: 'table 0 8388608 linear 8:0 0' });
    expect(titles(foreign, absent)).toEqual(['remove what is kept of db']);
  });
});

describe('what a host answers', () => {
  it('is no answer where it may not be looked at', () => {
    expect(() => state(['denied'])).toThrow(FleetError);
  });

  it('is capped', () => {
    expect(() => state([`config ${'x'.repeat(300_000)}`])).toThrow(FleetError);
  });

  it('reaches neither a terminal nor a step as it is', () => {
    const lines = swap(all, {
      table: "table 0 8 qcow2 1 qcow2:131 1 cache_kib:8192'\u0007; id",
      'config image': 'config image \u001b]0;gone',
      'note image': 'note image \u001b[2J',
    });
    expect(plan(lines)).toMatchObject({ status: 'blocked' });
    const other = swap(all, { 'note image': 'note image \u001b[2J', 'note file': 'note file 1:131' });
    expect(JSON.stringify(plan(other))).not.toContain('\\u001b');
  });
});

describe('scripts', () => {
  it('are sh', () => {
    const input = declare({ image: "/srv/it's $(here).qcow2", base: ["/srv/b'ase"] });
    const lines = swap(all, { 'note image': 'note image /mnt/old.qcow2', 'note file': 'note file 1:131' });
    const steps = [...deviceSteps(input, state(lines, input)), ...deviceSteps(absent, state(all, absent))];
    expect(steps.map(({ title }) => title)).toContain("look into /srv/it's $(here).qcow2");
    const texts = steps.flatMap(({ script, guard }) => [script, guard ?? '']);
    for (const text of [...texts, helperFile().bytes.toString()]) {
      const { status, stderr } = spawnSync('sh', ['-n'], { input: text, encoding: 'utf8' });
      expect(status, stderr).toBe(0);
    }
  });

  it('probe a host that has nothing of it', () => {
    const inputs = [declare({ image: "/nowhere/it's" }), absent];
    const [first, second] = runProbe(qcow2Device, inputs);
    expect(parseDevice(first!, inputs[0]!)).toMatchObject({ image: { is: 'missing' }, enabled: false });
    expect(changeLines(planDevice(absent, parseDevice(second!, absent), { facts: debianFacts() }))).toEqual(
      [],
    );
  });
});
