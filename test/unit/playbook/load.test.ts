import { afterAll, expect, it } from 'vitest';
import { loadInventory } from '../../../src/inventory/load.ts';
import { FleetError } from '../../../src/lib/errors.ts';
import { tryBind } from '../../../src/playbook/bind.ts';
import { loadPlaybook, readPlaybook } from '../../../src/playbook/load.ts';
import { Bench, findingsOf } from './bench.ts';

const bench = new Bench();
afterAll(() => bench.remove());

const load = (text: string | Buffer) => loadPlaybook(bench.write('playbook.yaml', text));
const findings = (text: string | Buffer) => findingsOf(load(text));

it('reads the real playbooks', async () => {
  const playbook = await loadPlaybook('playbooks/site.yaml');
  expect(playbook.plays.length).toBeGreaterThan(0);
});

it('a play without name is named by its hosts, a task by its kind', async () => {
  const { plays } = await load('- hosts: [hv01, "!hv02"]\n  tasks: [{ command: { argv: ["true"] } }]\n');
  expect(plays[0]).toMatchObject({ name: 'hv01:!hv02', hosts: 'hv01:!hv02' });
  expect(plays[0]!.tasks[0]).toMatchObject({ label: 'command' });
});

it('without an inventory, names that it could give are let pass; all else is checked', async () => {
  expect(
    await findings(`- hosts: all
  tasks:
    - file: { path: "{{ from_inventory }}", content: "", mode: "abc", sate: present }
    - file: { path: "{{ nothing.special }}", content: "{{ 'x' | nofilter }}" }
    - kernel: { release: "{{ range }}", headers: sometimes }
`),
  ).toEqual(['E_SCHEMA 3:64', 'E_UNKNOWN_KEY 3:71', 'E_TEMPLATE 4:56', 'E_SCHEMA 5:50']);
});

it('all findings of a file at once, in its order', async () => {
  const list = await findings(`- hosts: all
  taks: []
  tasks:
    - { nam: x, command: { argv: [] } }
    - { loop: 3, command: { argv: ["true"] } }
    - when: 1 +
      notify: nobody
      command: { argv: ["true"] }
- tasks: []
`);
  expect(list).toEqual([
    'E_UNKNOWN_KEY 2:3',
    'E_UNKNOWN_KEY 4:9',
    'E_SCHEMA 4:34',
    'E_SCHEMA 5:15',
    'E_CONDITION 6:16',
    'E_UNKNOWN_HANDLER 7:15',
    'E_SCHEMA 9:3',
  ]);
});

it('right tasks beside wrong ones can still be bound, so that everything is told at once', async () => {
  const path = bench.write(
    'playbook.yaml',
    '- hosts: all\n  tasks:\n    - { fiel: {} }\n    - command: { argv: ["{{ missing }}"] }\n',
  );
  const { playbook, findings: first } = await readPlaybook(path);
  const inventory = await loadInventory(bench.write('inventory.yaml', 'all: { hosts: { hv01: } }'));
  const { findings: second } = tryBind(playbook, inventory);
  expect([...first, ...second].map(({ code }) => code)).toEqual(['E_UNKNOWN_KIND', 'E_UNDEFINED_VARIABLE']);
});

it('keys can not be templates', async () => {
  expect(
    await findings(
      '- hosts: all\n  tasks:\n    - command: { argv: ["true"], environment: { "{{ name }}": x } }\n',
    ),
  ).toContain('E_TEMPLATE 3:47');
});

it('handlers have no loop and no tags, and a plain name', async () => {
  expect(
    await findings(`- hosts: all
  handlers:
    - { name: a, loop: [1], command: { argv: ["true"] } }
    - { name: b, tags: [x], command: { argv: ["true"] } }
    - { name: "{{ c }}", command: { argv: ["true"] } }
    - { command: { argv: ["true"] } }
`),
  ).toEqual(['E_UNKNOWN_KEY 3:18', 'E_UNKNOWN_KEY 4:18', 'E_SCHEMA 5:15', 'E_SCHEMA 6:7']);
});

it('a file that is not there or no file names itself', async () => {
  expect(await findingsOf(loadPlaybook(`${bench.folder}/none.yaml`))).toEqual(['E_FILE']);
  expect(await findingsOf(loadPlaybook(bench.folder))).toEqual(['E_FILE']);
});

it('hints name the nearest right word', async () => {
  const hints = async (text: string) => {
    const error = await load(text).catch((e) => e);
    expect(error).toBeInstanceOf(FleetError);
    return (error as FleetError).diagnostics.map(({ hint }) => hint);
  };
  expect(await hints('- { hosts: all, task: [] }')).toEqual(['did you mean "tasks"?']);
  expect(await hints('- { hosts: all, tasks: [{ pakage: { name: x } }] }')).toEqual([
    'did you mean "package"?',
  ]);
  expect(await hints('- { hosts: all, tasks: [{ copy: {} }] }')).toEqual(['write file']);
  expect(await hints('- { hosts: all, tasks: [{ file: { path: /a, state: abesnt } }] }')).toEqual([
    'did you mean "absent"?',
  ]);
});
