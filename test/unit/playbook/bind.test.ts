import { afterAll, expect, it } from 'vitest';
import { Bench, findingsOf } from './bench.ts';

const bench = new Bench();
afterAll(() => bench.remove());

const command = 'command: { argv: ["true"] }';

it('the innermost definition wins: group, host, play, task, loop item', async () => {
  const inventory = `
all:
  vars: { a: all, b: all, c: all, d: all, e: all }
  children:
    hypervisors:
      vars: { b: group, c: group, d: group, e: group }
      hosts:
        hv01: { c: host, d: host, e: host }`;
  const [task] = await bench.first(
    `
- hosts: all
  vars: { d: play, e: play }
  tasks:
    - vars: { e: task }
      loop: [item]
      command: { argv: ["{{ a }}", "{{ b }}", "{{ c }}", "{{ d }}", "{{ e }}", "{{ item }}"] }`,
    { inventory },
  );
  expect(task!.input.desired).toEqual({ argv: ['all', 'group', 'host', 'play', 'task', 'item'] });
});

it('a variable of a play may name one of the host, and one of the host may name one of the play', async () => {
  const inventory = 'all: { vars: { greeting: "from {{ site }}" }, hosts: { hv01: { rack: a } } }';
  const [task] = await bench.first(
    `
- hosts: all
  vars: { site: "rack {{ rack }}" }
  tasks:
    - command: { argv: ["{{ greeting }}"] }`,
    { inventory },
  );
  expect(task!.input.desired).toEqual({ argv: ['from rack a'] });
});

it('hosts know their name, their groups and all groups', async () => {
  const [task] = await bench.first(`
- hosts: all
  tasks:
    - name: on {{ inventory_hostname }}
      command: { argv: ["{{ group_names | join: ',' }}", "{{ groups.hypervisors | join: ' ' }}"] }`);
  expect(task!.task).toBe('on hv01');
  expect(task!.input.desired).toEqual({ argv: ['hypervisors', 'hv01 hv02 hv03'] });
});

it('a lone template keeps its type; a number stands as text where text is wanted', async () => {
  const [task] = await bench.first(`
- hosts: all
  vars: { seconds: 7, words: [make, install], limit: 12 }
  tasks:
    - command: { argv: "{{ words }}", timeout: "{{ seconds }}", creates: "/tmp/{{ limit }}", environment: { N: "{{ limit }}" } }`);
  expect(task!.input.desired).toEqual({
    argv: ['make', 'install'],
    timeout: 7,
    creates: '/tmp/12',
    environment: { N: '12' },
  });
});

it('loops: one declaration an item, its name says which', async () => {
  const declarations = await bench.first(`
- hosts: all
  vars: { disks: [{ name: vda }, { name: vdb }] }
  tasks:
    - name: disk
      loop: "{{ disks }}"
      command: { argv: ["{{ item.name }}"] }
    - name: number
      loop: [1, "{{ inventory_hostname }}"]
      command: { argv: ["{{ item }}"] }
    - name: none
      loop: []
      ${command}`);
  expect(declarations.map(({ task }) => task)).toEqual([
    'disk (item={"name":"vda"})',
    'disk (item={"name":"vdb"})',
    'number (item=1)',
    'number (item=hv01)',
  ]);
  expect(declarations.map(({ input }) => (input.desired as { argv: string[] }).argv[0])).toEqual([
    'vda',
    'vdb',
    '1',
    'hv01',
  ]);
});

it('a template in an item is not rendered again', async () => {
  const inventory = 'all: { hosts: { hv01: { text: "{{ braces }}", braces: "{{ \'{{\' }} x }}" } } }';
  const [task] = await bench.first('- hosts: all\n  tasks: [{ command: { argv: ["{{ text }}"] } }]', {
    inventory,
  });
  expect(task!.input.desired).toEqual({ argv: ['{{ x }}'] });
});

it('when: what variables decide is decided; facts are asked later, also for a part', async () => {
  const declarations = await bench.first(`
- hosts: all
  vars: { wanted: true, queues: 4 }
  tasks:
    - { name: known true, when: wanted && queues > 2, ${command} }
    - { name: known false, when: "!wanted && facts.cpus > 1", ${command} }
    - { name: facts, when: "wanted && facts.cpus > 1", ${command} }
    - { name: list, when: [wanted, 'facts.os.id == "debian"', queues == 4], ${command} }
    - { name: never, when: false, ${command} }`);
  const [yes, no, facts, list, never] = declarations;
  expect(yes).not.toHaveProperty('when');
  expect(yes).not.toHaveProperty('skipped');
  expect(no).toMatchObject({ task: 'known false', skipped: true });
  expect(never).toMatchObject({ skipped: true });
  expect(facts!.when!({ cpus: 2 } as never)).toBe(true);
  expect(facts!.when!({ cpus: 1 } as never)).toBe(false);
  expect(list!.when!({ os: { id: 'debian' } } as never)).toBe(true);
  expect(list!.when!({ os: { id: 'sles' } } as never)).toBe(false);
});

it('a task that is skipped needs none of its variables', async () => {
  const [task] = await bench.first(`
- hosts: all
  tasks:
    - name: gpu {{ gpu }}
      when: '"gpu" in vars'
      command: { argv: ["{{ gpu }}"] }`);
  expect(task).toMatchObject({ skipped: true, task: 'gpu {{ gpu }}' });
});

it('a fact that does not fit a condition is an error with the place of the condition', async () => {
  const [task] = await bench.first(`- hosts: all
  tasks:
    - when: semver(facts.os.versionId, ">=12")
      ${command}`);
  const when = Promise.resolve().then(() => task!.when!({ os: { versionId: 'rolling' } } as never));
  expect(await findingsOf(when)).toEqual(['E_CONDITION 3:13']);
});

it('what a host answers is data, whatever it looks like', async () => {
  const [plain] = await bench.first(`- hosts: all
  tasks:
    - when: facts.hostname.contains("inventory_hostname")
      ${command}`);
  expect(plain!.when!({ hostname: '{{ inventory_hostname }}' } as never)).toBe(true);
  expect(plain!.when!({ hostname: 'hv01' } as never)).toBe(false);
});

it('become: the task, else the play, else the host, else root', async () => {
  const tasks = `tasks: [{ name: own, become: false, ${command} }, { name: inherited, ${command} }]`;
  const become = async (play: string, host: string) =>
    (
      await bench.first(`- hosts: all\n${play}  ${tasks}`, { inventory: `all: { hosts: { hv01: ${host} } }` })
    ).map((d) => d.become);
  expect(await become('', '')).toEqual([false, true]);
  expect(await become('', '{ become: false }')).toEqual([false, false]);
  expect(await become('  become: true\n', '{ become: false }')).toEqual([false, true]);
});

const tagged = `
- hosts: all
  tasks:
    - { name: plain, ${command} }
    - { name: a, tags: a, ${command} }
    - { name: always, tags: [always], ${command} }
    - { name: never, tags: [never, rare], ${command} }
  handlers:
    - { name: handler, ${command} }`;

it.for<[string[] | undefined, string]>([
  [undefined, 'plain a always handler'],
  [['a'], 'a always handler'],
  [['rare'], 'always never handler'],
  [['never'], 'always never handler'],
  [['all'], 'plain a always handler'],
  [['tagged'], 'a always handler'],
  [['untagged'], 'plain always handler'],
  [['a', 'rare'], 'a always never handler'],
])('-t %s chooses %s', async ([tags, names]) => {
  const declarations = await bench.first(tagged, { tags });
  expect(declarations.map(({ task }) => task).join(' ')).toBe(names);
});

it('-t with a tag that no task has, or with none, is refused', async () => {
  expect(await findingsOf(bench.bind(tagged, { tags: ['rere'] }))).toEqual(['E_USAGE']);
  expect(await findingsOf(bench.bind(tagged, { tags: [] }))).toEqual(['E_USAGE']);
});

it('-l narrows the hosts of plays, and must leave one', async () => {
  const playbook = `- { hosts: all, tasks: [{ ${command} }] }\n- { hosts: hv03, tasks: [{ ${command} }] }`;
  const plays = await bench.bind(playbook, { limit: 'hv01:hv02' });
  expect(plays.map(({ hosts }) => hosts)).toEqual([['hv01', 'hv02'], []]);
  expect(plays[0]!.declarations('hv03')).toEqual([]);
  expect(await findingsOf(bench.bind(playbook.split('\n')[1]!, { limit: 'hv01' }))).toEqual(['E_PATTERN']);
  expect(await findingsOf(bench.bind(playbook, { limit: 'hv99' }))).toEqual(['E_PATTERN']);
});

it.for<[string, number[]]>([
  ['', []],
  ['serial: 2', [2]],
  ['serial: "10%"', [4]],
  ['serial: [1, "10%", "50%"]', [1, 4, 20]],
  ['serial: "1%"', [1]],
])('of 40 hosts "%s" is %j', async ([serial, sizes]) => {
  const inventory = 'all: { hosts: { "hv[01:40]": } }';
  const [play] = await bench.bind(`- { hosts: all, ${serial && `${serial},`} tasks: [] }`, { inventory });
  expect(play).toMatchObject({ serial: sizes, maxFailPercentage: 100 });
});

it('handlers stand behind the tasks, notify names them', async () => {
  const declarations = await bench.first(`
- name: named
  hosts: all
  max_fail_percentage: 10
  handlers: [{ name: restart, ${command} }]
  tasks: [{ name: conf, notify: restart, tags: [x], ${command} }]`);
  expect(declarations).toMatchObject([
    { play: 'named', playIndex: 0, task: 'conf', handler: false, notify: ['restart'], tags: ['x'] },
    { task: 'restart', handler: true, notify: [] },
  ]);
});

it('one mistake on many hosts is one finding', async () => {
  const inventory = 'all: { hosts: { hv01: { size: 4 }, "hv[02:40]": } }';
  const work = bench.bind('- hosts: all\n  tasks:\n    - command: { argv: ["{{ size }}"] }\n', { inventory });
  expect(await findingsOf(work)).toEqual(['E_UNDEFINED_VARIABLE 3:29 hv02']);
});

it('a mistake in a variable of the inventory is told at its place there', async () => {
  const inventory = 'all:\n  hosts:\n    hv01:\n      path: "/srv/{{ nam }}"\n';
  const work = bench.bind('- hosts: all\n  tasks: [{ command: { argv: ["{{ path }}"] } }]\n', { inventory });
  const error = await work.catch((e) => e);
  expect(error.diagnostics).toMatchObject([
    { code: 'E_UNDEFINED_VARIABLE', at: { file: `${bench.folder}/inventory.yaml`, line: 4, col: 22 } },
  ]);
  const broken = 'all:\n  hosts:\n    hv01:\n      path: "/srv/{{ nam"\n';
  expect(
    await findingsOf(
      bench.bind('- { hosts: all, tasks: [{ command: { argv: ["{{ path }}"] } }] }', { inventory: broken }),
    ),
  ).toContain('E_TEMPLATE 4:19');
});

it('500 hosts × 20 tasks are bound in a moment; what is equal is one object', async () => {
  const tasks = Array.from({ length: 20 }, (_, i) =>
    i % 2 === 0
      ? `    - { name: t${i}, file: { path: /etc/f${i}, content: "text {{ site }}\\n" } }`
      : `    - { name: t${i}, file: { path: /etc/f${i}, content: "{{ inventory_hostname }}\\n" } }`,
  ).join('\n');
  const inventory = 'all: { hosts: { "hv[001:500]": } }';
  const started = process.cpuUsage();
  const [play] = await bench.bind(`- hosts: all\n  vars: { site: lab }\n  tasks:\n${tasks}\n`, { inventory });
  const { user, system } = process.cpuUsage(started);
  expect(play!.declarations('hv500')).toHaveLength(20);
  expect(play!.declarations('hv500')[0]!.input).toBe(play!.declarations('hv001')[0]!.input);
  expect(play!.declarations('hv500')[1]!.input.desired).toMatchObject({ content: 'hv500\n' });
  expect((user + system) / 1e6).toBeLessThan(5);
});

it('a loop without items hides no name that is undefined', async () => {
  const task = (more: string) =>
    `- hosts: all\n  tasks:\n    - { loop: [], ${more} file: { path: "/{{ zork }}/{{ item }}", content: "{{ b | default: 1 }}" } }\n`;
  expect(await findingsOf(bench.bind(task('')))).toEqual(['E_UNDEFINED_VARIABLE 3:39 hv01']);
  const guarded = task(`when: '"zork" in vars',`);
  expect(await findingsOf(bench.bind(guarded))).toEqual([]);
  const inventory = 'all: { hosts: { hv01: { zork: x, none: [] } } }';
  expect(await findingsOf(bench.bind(task('').replace('[]', '"{{ none }}"'), { inventory }))).toEqual([]);
});
