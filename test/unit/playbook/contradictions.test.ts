import { afterAll, describe, expect, it } from 'vitest';
import { planHost } from '../../../src/engine/host-plan.ts';
import { loadInventory } from '../../../src/inventory/load.ts';
import { tryBind } from '../../../src/playbook/bind.ts';
import { loadPlaybook } from '../../../src/playbook/load.ts';
import type { ResourceKind } from '../../../src/resources/kind.ts';
import { debianFacts } from '../resources/facts.ts';
import { Bench } from './bench.ts';

const bench = new Bench();
afterAll(() => bench.remove());

const inventory = bench.write('inventory.yaml', 'all: { hosts: { "hv[01:03]": } }');

/** Binds tasks, a line each from line 3 on, and gives what is said of them: `line, message up to the other's place`. */
async function said(tasks: readonly string[], tags?: readonly string[]) {
  const text = `- hosts: all\n  tasks:\n${tasks.map((task) => `    - ${task}\n`).join('')}`;
  const playbook = await loadPlaybook(bench.write('playbook.yaml', text));
  const { findings, plays } = tryBind(playbook, await loadInventory(inventory), undefined, tags);
  const short = (list: typeof findings) =>
    list.map(
      ({ at, message }) =>
        `${at?.line}: ${message.replace(/ in task .*playbook\.yaml:/, ' ').replace(/ \(and.*/, '')}`,
    );
  return { errors: short(findings), warnings: short(playbook.warnings.list()), findings, plays };
}

const content = (text: string, more = '') =>
  `{ name: "${text}", ${more} file: { path: /x, content: "${text}" } }`;

describe('tasks that run for certain and contradict each other are an error', () => {
  it.for<[string, string, string, string]>([
    ['contents', content('a'), content('b'), '/x: other content than 3:7'],
    [
      'states',
      'file: { path: /x, state: absent }',
      'file: { path: /x, state: directory }',
      '/x: state directory, but absent 3:7',
    ],
    [
      'modes',
      'file: { path: /x, state: directory, mode: "0700" }',
      'file: { path: /x, state: directory, mode: "755" }',
      '/x: mode 0755, but 0700 3:7',
    ],
    [
      'packages in lists',
      'package: { names: [curl, vim] }',
      'package: { name: vim, state: absent }',
      'package vim: state absent, but present 3:7',
    ],
    [
      'parameters of a module, whatever its spelling',
      'kernel_module: { name: vhost_blk, parameters: { workers: 1 } }',
      'kernel_module: { name: vhost-blk, parameters: { workers: 2 } }',
      'module vhost_blk: parameters workers=2, but workers=1 3:7',
    ],
    [
      'a module at boot, which is the default',
      'kernel_module: { name: loop }',
      'kernel_module: { name: loop, boot: false }',
      'module loop: boot false, but true 3:7',
    ],
    [
      'packages of dkms',
      `dkms: { source: ${process.cwd()}/test/fixtures/dkms-hello }`,
      'dkms: { name: blkfleet-hello, state: absent }',
      'dkms package blkfleet-hello: state absent, but present 3:7',
    ],
    [
      'profiles of a host',
      'qemu_drive_defaults: { queues: 2 }',
      'qemu_drive_defaults: { queues: 4 }',
      "QEMU's drive defaults: queues 4, but 2 3:7",
    ],
  ])('%s', async ([, first, second, message]) => {
    const body = (task: string) => (task.startsWith('{') ? task : `{ ${task} }`);
    const { errors, warnings, findings } = await said([body(first), body(second)]);
    expect(errors).toEqual([`4: ${message}`]);
    expect(warnings).toEqual([]);
    expect(findings[0]).toMatchObject({ code: 'E_CONTRADICTION', host: 'hv01', at: { line: 4, col: 7 } });
    expect(findings[0]!.message).toContain('playbook.yaml:3:7');
    expect(findings[0]!.excerpt).toContain('    - ');
  });

  it('also with a task that may run between them, over plays, and within a loop', async () => {
    expect((await said([content('a'), content('c', 'when: facts.cpus > 3,'), content('b')])).errors).toEqual([
      '5: /x: other content than 3:7',
    ]);
    const loop = '{ loop: [a, b], file: { path: /x, content: "{{ item }}" } }';
    expect((await said([loop])).errors).toEqual(['3: /x: other content than 3:7']);
    const plays = '- hosts: all\n  tasks: [{ file: { path: /x, content: a } }]\n'
      .repeat(2)
      .replace(/a \} \}\]\n$/, 'b } }]\n');
    const playbook = await loadPlaybook(bench.write('plays.yaml', plays));
    expect(tryBind(playbook, await loadInventory(inventory)).findings).toMatchObject([
      { code: 'E_CONTRADICTION', at: { line: 4, col: 11 } },
    ]);
  });
});

it.for<[string, readonly string[]]>([
  ['the same twice', [content('a'), content('a')]],
  [
    'properties that only one of them says',
    ['{ file: { path: /x, content: a, mode: "0600" } }', '{ file: { path: /x, content: a, owner: root } }'],
  ],
  ['another path', [content('a'), '{ file: { path: /y, content: b } }']],
  ['one that is skipped whatever a host answers', [content('a'), content('b', 'when: false,')]],
  [
    'both under conditions, which may exclude each other',
    [content('a', 'when: facts.cpus > 3,'), content('b', 'when: facts.cpus < 3,')],
  ],
])('no contradiction: %s', async ([, tasks]) => {
  expect(await said(tasks)).toMatchObject({ errors: [], warnings: [] });
});

it('where one of them has a condition on facts it is a warning', async () => {
  const { errors, warnings } = await said([content('a'), content('b', 'when: facts.cpus > 3,')]);
  expect({ errors, warnings }).toEqual({ errors: [], warnings: ['4: /x: other content than 3:7'] });
});

it('tags that choose one of them', async () => {
  const tasks = [content('a', 'tags: in,'), content('b', 'tags: out,')];
  expect((await said(tasks)).errors).toHaveLength(1);
  expect((await said(tasks, ['in'])).errors).toEqual([]);
});

it('conditions that hold together on a host stop it before anything changes', async () => {
  const { plays } = await said([
    content('a', 'when: facts.cpus > 1,'),
    content('b', 'when: facts.cpus < 3,'),
  ]);
  const kinds = new Map<string, ResourceKind>([
    [
      'file',
      {
        kind: 'file',
        parse: () => null,
        plan: () => ({ status: 'change', changes: [] }),
        steps: () => [{ title: 's', script: 'true' }],
      } as unknown as ResourceKind,
    ],
  ]);
  const plan = (cpus: number) => {
    const declarations = plays[0]!.declarations('hv01');
    const slots = new Map(declarations.map((d) => [d, { frame: 'f' }]));
    const frames = new Map([['f', { body: Buffer.alloc(0), rc: 0 }]]);
    return planHost(declarations, { ...debianFacts(), cpus }, frames as never, { body: '', slots }, kinds)
      .tasks;
  };
  expect(plan(2).map(({ verdict }) => verdict.status)).toEqual(['change', 'error']);
  expect(plan(2)[1]).toMatchObject({ verdict: { error: { code: 'E_CONTRADICTION' } }, steps: [] });
  expect(plan(4).map(({ verdict }) => verdict.status)).toEqual(['change', 'skipped']);
});
