import { afterAll, describe, expect, it } from 'vitest';
import { loadInventory } from '../../../src/inventory/load.ts';
import { FleetError } from '../../../src/lib/errors.ts';
import { tryBind } from '../../../src/playbook/bind.ts';
import { liquid } from '../../../src/playbook/liquid.ts';
import { readPlaybook } from '../../../src/playbook/load.ts';
import { jinjaFilters, jinjaTags } from '../../../src/playbook/template-habits.ts';
import { Bench } from './bench.ts';

const bench = new Bench();
afterAll(() => bench.remove());
const inventory = bench.write('inventory.yaml', 'all: { hosts: { hv01: { a: true, b: x, c: y, n: 3 } } }');

/** Everything that is said of a playbook, as `line:column code: hint`. */
async function said(text: string): Promise<string[]> {
  const path = bench.write('playbook.yaml', text);
  const { playbook, findings } = await readPlaybook(path).catch((error: unknown) => {
    if (error instanceof FleetError) return { playbook: undefined, findings: error.diagnostics };
    throw error;
  });
  const bound = playbook && tryBind(playbook, await loadInventory(inventory));
  return [...findings, ...(bound?.findings ?? []), ...(playbook?.warnings.list() ?? [])].map(
    ({ at, code, hint }) => `${at!.line}:${at!.col} ${code}: ${hint}`,
  );
}

describe('conditions in the words of Jinja and Python', () => {
  it.for<[string, number, string]>([
    ['a and b', 3, 'write && for and'],
    ['a or b', 3, 'write || for or'],
    ['not a', 5, 'write ! for not: !a'],
    ['not (a)', 1, 'write ! for not: !x'],
    ['x is defined', 3, 'write "x" in vars'],
    ['x is not defined', 3, 'write !("x" in vars)'],
    ['x is undefined', 3, 'write !("x" in vars)'],
    ['a is true', 3, 'write a alone'],
    ['a is false', 3, 'write !a'],
    ["facts.kernel.release is version('5.10', '>=')", 22, 'write semver(facts.kernel.release, ">=5.10")'],
    ["b is match('x.*')", 3, 'write b.matches("pattern")'],
    ["b not in ['x']", 3, "write !(b in ['x'])"],
    ['b = "x"', 3, 'write == to compare'],
    ['b <> "x"', 4, 'write != for <>'],
    ["b | default('x') == 'x'", 3, 'conditions have no filters; write "b" in vars && …'],
    ['1 if a else 2', 3, 'write condition ? a : b'],
    ['a & b', 3, 'write && for and'],
    ['a &&', 5, 'undefined'],
    ['facts.os == "debian"', 1, 'facts.os holds id, idLike, versionId, codename, name'],
    ['facts.os_family == "Debian"', 7, 'write facts.os.id or facts.os.idLike'],
    ['facts.cpu > 1', 7, 'did you mean facts.cpus?'],
    ['facts.os.version == "12"', 10, 'did you mean facts.os.versionId?'],
    ['facts.zork', 7, 'facts holds hostname, uid, kernel.release'],
    ['facts.cpus > "4"', 1, 'write the number without quotes, or int(x) for a text'],
    ['b.startswith("x")', 1, 'did you mean "startsWith"?'],
    ['len(b) > 1', 1, 'did you mean "size"?'],
    ['b.contains(3)', 1, 'it is text.contains(text)'],
  ])('%s', async ([condition, column, hint]) => {
    const [first, ...more] = await said(
      `- hosts: all\n  tasks:\n    - command: { argv: ["true"] }\n      when: ${JSON.stringify(condition)}\n`,
    );
    expect(more).toEqual([]);
    // A quoted value begins behind its quote; what is escaped in it has no columns of its own.
    const place = condition.includes('"') ? '4:13' : `4:${13 + column}`;
    expect(first!.startsWith(`${place} E_CONDITION: ${hint}`), first).toBe(true);
  });

  it.for<[string, string]>([
    ['b == x', 'a text stands in quotes: "x"; to ask whether a variable exists: "x" in vars'],
    ['b in [x]', 'a text stands in quotes: "x"; to ask whether a variable exists: "x" in vars'],
    ['zork', 'to ask whether it exists: "zork" in vars'],
    ['a == True', 'write true'],
    ['ansible_os_family == b', 'write facts.os.id or facts.os.idLike'],
    ['ansible_processor_vcpus > 4', 'write facts.cpus'],
    ['hostvars == b', 'a host sees its own variables and facts'],
  ])('%s: an undefined name', async ([condition, hint]) => {
    const [first] = await said(
      `- hosts: all\n  tasks:\n    - { when: '${condition}', command: { argv: ["true"] } }\n`,
    );
    expect(first).toContain(`E_UNDEFINED_VARIABLE: ${hint}`);
  });
});

describe('templates in the words of Jinja', () => {
  it.for<[string, number, string]>([
    ['{{ z | default(3) }}', 14, 'write | default: 3'],
    ["{{ b | replace('a', 'b') }}", 14, "write | replace: 'a', 'b'"],
    ['{{ b if a else c }}', 5, 'write {% if condition %}a{% else %}b{% endif %}'],
    ['{{ b c }}', 5, 'filters stand behind |, texts in quotes'],
    ['{% if a is defined %}x{% endif %}', 8, 'write | default: "…" for a variable that may be undefined'],
    ['{% if b in c %}x{% endif %}', 8, 'write list contains x'],
    ['{{ b ~ c }}', 6, 'write | append: c'],
    ['{{ n + 1 }}', 6, 'write | plus: 1 for numbers, | append: 1 for texts'],
    ['{{ n * 2 }}', 6, 'write | times: 2'],
    ['{{ n / 2 }}', 6, 'write | divided_by: 2'],
    ['{{ b.upper() }}', 11, 'values have no methods; filters do that: | upcase'],
    ["{{ lookup('file', 'x') }}", 16, 'there are no functions such as lookup(); write the value into vars'],
    ['{{ b | lower }}', 0, 'write | downcase'],
    ['{{ b | upcas }}', 0, 'did you mean "upcase"?'],
    ['{% set x = 3 %}', 0, 'write {% assign name = value %}'],
    ['{% if a %}{% elif c %}{% endif %}', 10, 'write {% elsif condition %}'],
    ['{% include "x" %}', 0, 'a template can not reach other files; write it into this one'],
  ])('%s', async ([template, column, hint]) => {
    const quote = template.includes("'") ? '"' : "'";
    const [first, ...more] = await said(
      `- hosts: all\n  tasks:\n    - file: { path: /x, content: ${quote}${template}${quote} }\n`,
    );
    expect(more).toEqual([]);
    expect(first).toBe(`3:${35 + column} E_TEMPLATE: ${hint}`);
  });

  it('variables that only Ansible has', async () => {
    const list = await said(
      `- hosts: all\n  tasks:\n    - file: { path: /x, content: "{{ ansible_hostname }}" }\n    - file: { path: /y, content: "{{ ansible_kernel }}" }\n`,
    );
    expect(list.map((text) => text.replace(/^.*?: /, ''))).toEqual([
      'write inventory_hostname',
      'facts.kernel.release says it, in conditions only: facts come after templates',
    ]);
  });

  it('no hint stands for what there is, and those that name a filter name one that there is', () => {
    const { filters, tags } = liquid();
    expect(Object.keys(jinjaFilters).filter((name) => name in filters)).toEqual([]);
    expect(Object.keys(jinjaTags).filter((name) => name in tags)).toEqual([]);
    for (const hint of Object.values(jinjaFilters))
      for (const [, name] of hint.matchAll(/\| (\w+)/g)) expect(Object.keys(filters), hint).toContain(name);
  });
});

describe('plays, tasks and kinds', () => {
  it.for<[string, string]>([
    [
      'hosts: all\ntasks: []\n',
      'a playbook is a list of plays: write "- " before its first key, and two blanks before the others',
    ],
    ['all:\n  hosts: { hv01: }\n', 'this is an inventory: give it with -i, and a playbook in its place'],
    [
      'hypervisors:\n  hosts: { hv01: }\n',
      'this is an inventory: give it with -i, and a playbook in its place',
    ],
    ['x: 1\n', 'a playbook is a list of plays, such as `- hosts: all`'],
  ])('a file that is no list of plays: %j', async ([text, hint]) => {
    expect(await said(text)).toEqual([`1:1 E_SCHEMA: ${hint}`]);
  });

  it.for<[string, string]>([
    ['max_fail_percentage: "10%"', '2:24 E_SCHEMA: write the number: 10'],
    ['serial: "3"', '2:11 E_SCHEMA: write it without quotes: 3'],
    [
      'gather_facts: false',
      '2:3 E_UNKNOWN_KEY: facts are always asked for, in the same script as everything else',
    ],
    ['when: a', '2:3 E_UNKNOWN_KEY: conditions belong to tasks; hosts says where the play works'],
  ])('a play: %s', async ([line, told]) => {
    expect(await said(`- hosts: all\n  ${line}\n`)).toEqual([told]);
  });

  it.for<[string, string | undefined]>([
    ['command: echo hi', 'write argv: [echo, hi]'],
    ['command: echo hi && ls', "write argv: [sh, -c, 'echo hi && ls']"],
    ['command: [echo, hi]', 'write argv: [echo, hi]'],
    ['command: { argv: [ls], timeout: 5m }', 'write seconds: 300'],
    ['command: { argv: [ls], timeout: soon }', 'write seconds, such as 300'],
    ['command: { argv: [ls], env: {} }', 'write environment'],
    ['command: { argv: ["ls -l"] }', 'write argv: [ls, -l]'],
    ['command: { argv: ["echo hi && ls"] }', "write argv: [sh, -c, 'echo hi && ls']"],
    ['command: { argv: [ls, "|", wc] }', "write argv: [sh, -c, 'ls | wc']"],
    ['command: { argv: [ls, x, ">", /tmp/y] }', "write argv: [sh, -c, 'ls x > /tmp/y']"],
    [
      'command: { argv: [ls], unless: [test, -e, x, "&&", "true"] }',
      "write unless: [sh, -c, 'test -e x && true']",
    ],
    ['command: { argv: [sh, -c, "ls | wc"] }', undefined],
    ['command: { argv: [echo, "a | b"] }', undefined],
    ['command: { argv: [find, /x, -exec, rm, "{}", "+"] }', undefined],
    ['package: vim', 'write { name: vim }'],
    ['package: { name: [vim, curl] }', 'write names: [vim, curl]'],
    [
      'package: { name: vim, state: latest }',
      'present leaves the version alone; to bring packages up to date is left to the host (unattended-upgrades)',
    ],
    ['file: { path: /x, state: touch }', 'write content: "" for an empty file'],
    ['kernel_module: { name: loop, parameters: "a=1 b=2" }', 'write a map: { a: 1, b: 2 }'],
    ['kernel: ">=5.10"', 'write { release: ">=5.10" }'],
    ['dkms: ./folder', 'write { source: FOLDER }'],
    [
      'service: { name: x }',
      'write command: { argv: [systemctl, enable, --now, NAME], unless: [systemctl, is-active, NAME] }',
    ],
    ['ansible.builtin.copy: { dest: /x }', 'write file'],
  ])('a task: %s', async ([body, hint]) => {
    const list = await said(`- hosts: all\n  tasks:\n    - ${body}\n`);
    if (hint === undefined) expect(list).toEqual([]);
    else expect(list.join('\n')).toContain(`: ${hint}`);
    for (const line of list) expect(line).toMatch(/^3:\d+ /);
  });
});
