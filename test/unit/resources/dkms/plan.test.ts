import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { InstalledKernel } from '../../../../src/facts/facts.ts';
import { FleetError } from '../../../../src/lib/errors.ts';
import { hookFiles } from '../../../../src/resources/dkms/hooks.ts';
import { packageOf } from '../../../../src/resources/dkms/package.ts';
import { planDkms } from '../../../../src/resources/dkms/plan.ts';
import { folderLimit } from '../../../../src/resources/dkms/probe.ts';
import { parseDkms } from '../../../../src/resources/dkms/state.ts';
import { dkmsSteps } from '../../../../src/resources/dkms/steps.ts';
import { debianFacts } from '../facts.ts';
import { changeLines } from '../shell.ts';
import { conf, demo } from './input.ts';

const A = '6.1.0-41-amd64';
const B = '6.1.0-42-amd64';
const ko = createHash('sha256').update('ko').digest('hex');

function facts(kernels: readonly (Partial<InstalledKernel> & { release: string })[], more = {}) {
  const all = debianFacts();
  const installed = kernels.map((kernel) => ({ headers: true, image: true, ...kernel }));
  return { facts: { ...all, kernel: { ...all.kernel, ...more, installed } } };
}

const input = demo();
const source = packageOf(input)!;

/** Lines of a manifest as find and sha256sum print them, in no order. */
function onDisk(manifest: string): string[] {
  const lines = manifest.trimEnd().split('\n').reverse();
  return lines.map((line) => line.replace(/ \.(\/.*)?$/, ' /usr/src/demo-1.0$1'));
}

/** What the probe prints of a host where 1.0 is right for these kernels. */
function answer(kernels: readonly string[], more: readonly string[] = [], drop = /^$/): string {
  const lines = [
    'tool',
    'version 1.0',
    'source right 1.0',
    'pushed 1.0',
    ...kernels.flatMap((k) => [
      `tree 1.0/${k}/x86_64`,
      `/lib/modules/${k}/modules.dep.bin:/demo.ko`,
      `record ${k} rc 0`,
      `proof ${k} source ${source.sha256}`,
      `proof ${k} built ${ko} demo.ko`,
    ]),
    ...hookFiles(source).map(({ path }) => `exec ${path}`),
    ...more,
    'folder there',
    'disk',
    ...kernels.flatMap((k) => [
      `to 1.0/${k}/x86_64 /var/lib/dkms/demo/kernel-${k}-x86_64`,
      `${ko}  /var/lib/dkms/demo/1.0/${k}/x86_64/module/demo.ko`,
      `${ko}  /lib/modules/${k}/updates/dkms/demo.ko`,
    ]),
    ...hookFiles(source).map(({ path, sha256 }) => `${sha256}  ${path}`),
    ...onDisk(source.manifest),
  ];
  return `${lines.filter((line) => !drop.test(line)).join('\n')}\n`;
}

const plan = (text: string, context = facts([{ release: A }])) =>
  planDkms(input, parseDkms(Buffer.from(text), input), context);

describe('the disk decides', () => {
  it('ok where tree, folder, index, link and proof agree', () => {
    expect(plan(answer([A]))).toMatchObject({ status: 'ok' });
  });

  it.each([
    ['the module is not installed', /lib\/modules\/6/, null],
    ['dkms has no link to it', /^to /, 'unknown to dkms'],
    ['depmod does not know it', /modules.dep.bin/, 'unknown to depmod'],
  ])('installs where %s', (_what, drop, from) => {
    const found = plan(answer([A], [], drop));
    expect(changeLines(found)).toEqual([`kernel.${A}.installed: ${from} → 1.0`]);
  });

  it.each([
    ['nothing tells where it comes from', /^proof/, 'of unknown source'],
    ['the tree has a folder without a module', /module\/demo/, 'leftover of a broken build'],
  ])('builds where %s', (_what, drop, from) => {
    expect(changeLines(plan(answer([A], [], drop)))[0]).toBe(`kernel.${A}.built: ${from} → 1.0`);
  });

  it('a copy elsewhere that differs has to go', () => {
    const other = `${'0'.repeat(64)}  /lib/modules/${A}/extra/demo.ko.xz`;
    expect(changeLines(plan(answer([A], [other])))).toEqual([
      `kernel.${A}.installed: differs from what was built → 1.0`,
    ]);
  });

  it('registers where the source link is dangling or wrong', () => {
    for (const state of ['missing', 'wrong'])
      expect(changeLines(plan(answer([A]).replace('source right', `source ${state}`)))[0]).toMatch(
        /^registered: /,
      );
  });
});

describe('the folder of the source', () => {
  const line = (path: string) => new RegExp(`^[0-9a-f]{64}  /usr/src/demo-1.0/${path}$`, 'm');
  it.each<[string, (text: string) => string, string]>([
    [
      'another content',
      (text) => text.replace(line('demo.c'), `${'1'.repeat(64)}  /usr/src/demo-1.0/demo.c`),
      'demo.c',
    ],
    [
      'another mode',
      (text) => text.replace('f 644 0:0 /usr/src/demo-1.0/demo.c', 'f 666 0:0 /usr/src/demo-1.0/demo.c'),
      'demo.c',
    ],
    [
      'another owner of the folder',
      (text) => text.replace('d 755 0:0 /usr/src/demo-1.0\n', 'd 755 7:0 /usr/src/demo-1.0\n'),
      '.',
    ],
    ['a file that is missing', (text) => text.replace(/^.* .usr.src.demo-1.0.demo.c\n/gm, ''), 'demo.c'],
    ['a file more', (text) => `${text}f 644 0:0 /usr/src/demo-1.0/more.c\n`, 'more.c'],
    [
      'a link more',
      (text) => `${text}l 777 0:0 /usr/src/demo-1.0/evil\nto /etc /usr/src/demo-1.0/evil\n`,
      'evil',
    ],
    [
      'more than is told, or a line break in a name',
      (text) => text.replace('\ndisk\n', '\ndisk\nodd\n'),
      '.',
    ],
  ])('with %s is refused', (_what, change, name) => {
    expect(plan(change(answer([A])))).toMatchObject({
      status: 'blocked',
      message: expect.stringContaining(`1.0 is there with other source: ${name} differs`),
    });
  });

  it('is known by all of its files, as many as there are', () => {
    const many = Object.fromEntries(
      Array.from({ length: 9000 }, (_, i) => [`include/a-long-name-${i}.h`, '']),
    );
    const big = demo({ 'dkms.conf': conf(), ...many });
    const lines = ['tool', 'folder there', 'disk', ...onDisk(packageOf(big)!.manifest)];
    expect(parseDkms(Buffer.from(`${lines.join('\n')}\n`), big).source).toBe('same');
    expect(lines.join('\n').length).toBeLessThan(folderLimit(big));
    expect(lines.join('\n').length).toBeGreaterThan(1_048_576);
  });

  it('that is a link or a file is refused', () => {
    expect(plan(answer([A]).replace('folder there', 'folder link'))).toMatchObject({ status: 'blocked' });
  });
});

describe('kernels', () => {
  it('a failed build is named with its cause, and says nothing of the others', () => {
    const found = plan(
      answer(
        [A],
        [
          `record ${B} rc 10`,
          `record ${B} version 1.0`,
          `record ${B} by hook`,
          `record ${B} why x.c:1: error: y`,
        ],
      ),
      facts([{ release: A }, { release: B }]),
    );
    expect(found).toMatchObject({
      status: 'change',
      changes: [
        {
          path: `kernel.${B}.built`,
          from: 'failed (rc 10)',
          reason: expect.stringMatching(/kernel hook.*x\.c:1: error: y/),
        },
        { path: `kernel.${B}.installed`, from: null },
      ],
    });
  });

  it('one without headers is a warning; the running one is held', () => {
    const both = [{ release: A }, { release: B, headers: false }];
    expect(plan(answer([A]), facts(both))).toMatchObject({
      status: 'ok',
      warnings: [expect.stringContaining(B)],
    });
    expect(plan(answer([A]), facts(both, { release: B }))).toMatchObject({
      status: 'held',
      state: 'no-headers',
    });
  });

  it('none with headers blocks, before anything changes', () => {
    expect(plan('tool\n', facts([{ release: A, headers: false }]))).toMatchObject({ status: 'blocked' });
  });

  it('builds the running one first, and tells the tasks behind it', () => {
    const found = plan('tool\n', facts([{ release: B }, { release: A }], { release: A }));
    expect(changeLines(found).filter((line) => line.includes('built'))).toEqual([
      `kernel.${A}.built: null → 1.0`,
      `kernel.${B}.built: null → 1.0`,
    ]);
    expect(found.status === 'change' && found.facts).toEqual({ modulesBuilt: ['demo'] });
  });

  it('one that the package excludes keeps the old version it has', () => {
    const newer = demo({ 'dkms.conf': conf('BUILD_EXCLUSIVE_KERNEL="-42-"\n'), 'demo.c': '' });
    const state = parseDkms(
      Buffer.from(
        ['tool', 'version 0.9', 'source right 0.9', 'disk']
          .concat([A, B].map((k) => `to 0.9/${k}/x86_64 /var/lib/dkms/demo/kernel-${k}-x86_64`))
          .join('\n'),
      ),
      newer,
    );
    const found = planDkms(newer, state, facts([{ release: A }, { release: B }]));
    expect(changeLines(found).some((line) => line.startsWith('version.0.9'))).toBe(false);
    expect(found).toMatchObject({
      warnings: expect.arrayContaining([expect.stringContaining('version 0.9 stays')]),
    });
  });

  it('Secure Boot is told where something has to be built', () => {
    const context = facts([{ release: A }], { secureBoot: true });
    expect(plan('tool\n', context)).toMatchObject({ warnings: [expect.stringContaining('mok.pub')] });
    expect(plan(answer([A]), context)).not.toHaveProperty('warnings');
  });
});

describe('steps', () => {
  it('push, register, build each kernel, then remove what is old, last', () => {
    const state = parseDkms(Buffer.from('tool\nversion 0.9\nsource right 0.9\npushed 0.9\n'), input);
    const titles = dkmsSteps(input, state, facts([{ release: A }, { release: B }])).map((step) => step.title);
    expect(titles).toEqual([
      'push the source of demo 1.0',
      'register demo 1.0 with dkms',
      'put the kernel hooks in place',
      `build and install demo 1.0 for ${A}`,
      `build and install demo 1.0 for ${B}`,
      'check demo 1.0 on every kernel',
      'remove demo 0.9',
    ]);
  });
});

describe('hostile answers', () => {
  it.each([
    ['names with a slash', 'version ../../etc\nsource right ../../etc\n'],
    ['a record of a name that is none', 'record ; rc 0\n'],
    ['hashes of files that are not ours', `${ko}  /etc/shadow\n`],
    ['a flood of nothing', '\n'.repeat(100_000)],
  ])('%s change no verdict', (_what, text) => {
    expect(plan(answer([A], [text.trimEnd()]))).toMatchObject({ status: 'ok' });
  });

  it('one without an end is refused', () => {
    expect(() => parseDkms(Buffer.alloc(1_400_000, 'x'), input)).toThrow(FleetError);
  });

  it('a host that does not let us look is an error, not an empty host', () => {
    expect(() => parseDkms(Buffer.from('denied\n'), input)).toThrow(FleetError);
  });
});
