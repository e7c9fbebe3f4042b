import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { ansibleOthers, ansibleWords, connectionSynonyms } from '../../../src/inventory/habits.ts';
import { loadInventory } from '../../../src/inventory/load.ts';
import { connectionWords } from '../../../src/inventory/schema.ts';
import type { Diagnostic, FleetError } from '../../../src/lib/errors.ts';

const folder = mkdtempSync(join(tmpdir(), 'blkfleet-habits-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What is said of an inventory, errors or else warnings, as `line:column code: hint`. */
async function said(text: string): Promise<string[]> {
  const path = join(folder, 'inventory.yaml');
  writeFileSync(path, text);
  const list = await loadInventory(path).then(
    ({ warnings }) => warnings,
    (error: FleetError) => error.diagnostics,
  );
  return list.map(({ at, code, hint }: Diagnostic) => `${at?.line}:${at?.col} ${code}: ${hint}`);
}

const yaml =
  'inventories are YAML: below all: a map of hosts, and of children, the groups; inventory.example.yaml shows each word';
const template = 'connection words take no templates: write the value, in a group where hosts share it';

describe('what is no inventory of ours', () => {
  it.for<[string, string, string]>([
    ['INI with sections', '# fleet\n[hypervisors]\nhv01\nhv02\n', `3:1 E_YAML: ${yaml}`],
    ['INI with variables', 'hv01 ansible_host=192.0.2.1\n[x]\nhv02\n', `1:1 E_SCHEMA: ${yaml}`],
    ['a list of names', 'hv01\nhv02\n', `1:1 E_SCHEMA: ${yaml}`],
    ['a lone section', '[hypervisors]\n', `1:1 E_SCHEMA: ${yaml}`],
    [
      'a playbook',
      '- hosts: all\n  tasks: []\n',
      '1:1 E_SCHEMA: this is a playbook: give it without -i, and an inventory in its place',
    ],
    ['a broken file of YAML', 'all:\n  hosts: {\n', '2:11 E_YAML: undefined'],
  ])('%s', async ([, text, told]) => {
    expect((await said(text))[0]).toBe(told);
  });
});

describe('where the inventory is another map than ours', () => {
  it.for<[string, string]>([
    ['all: { hosts: [hv01, hv02] }', '1:15 E_SCHEMA: write a map, a line each: `hv01:` `hv02:`'],
    ['all: { hosts: hv01 }', '1:15 E_SCHEMA: write a map: { hv01: }'],
    ['all: { hosts: { hv01: 192.0.2.1 } }', '1:23 E_SCHEMA: write { address: 192.0.2.1 }'],
    ['all: { children: { hv: [hv01, hv02] } }', '1:24 E_SCHEMA: write { hosts: { hv01: , hv02: } }'],
    [
      'all: { vars: [{ user: x }], hosts: { a: } }',
      '1:14 E_SCHEMA: write a map, without dashes: `name: value`',
    ],
    [
      'hv:\n  hosts: { a: }\nall:\n  hosts: { b: }',
      '1:1 E_UNKNOWN_KEY: groups stand below all: in its children',
    ],
  ])('%s', async ([text, told]) => {
    expect(await said(text)).toEqual([told]);
  });

  it.for(connectionWords)('a template for %s', async (word) => {
    const [first, ...more] = await said(`all: { hosts: { hv01: { ${word}: "{{ x }}" } } }`);
    expect(more).toEqual([]);
    expect(first).toMatch(/^1:\d+ E_SCHEMA/);
    expect(first).toContain(template);
  });
});

describe("Ansible's variables", () => {
  it.for([
    ...Object.entries(ansibleWords).map(([name, word]) => [name, `write ${word}`]),
    ...Object.entries(ansibleOthers),
  ] as [string, string][])('%s: %s', async ([name, hint]) => {
    expect(await said(`all: { hosts: { hv01: { ${name}: x } } }`)).toEqual([`1:25 E_UNKNOWN_KEY: ${hint}`]);
  });
});

describe('synonyms of connection words are a warning with the right word', () => {
  it.for(Object.entries(connectionSynonyms))('%s is not %s', async ([name, word]) => {
    expect(await said(`all: { hosts: { hv01: { ${name}: x } } }`)).toEqual([
      `1:25 E_UNKNOWN_KEY: if ${word} is meant, write ${word}`,
    ]);
  });

  it('not where the word itself stands beside it', async () => {
    expect(await said('all: { hosts: { hv01: { ip: x, address: 192.0.2.1 } } }')).toEqual([]);
  });
});
