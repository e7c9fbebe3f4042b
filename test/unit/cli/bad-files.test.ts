import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BuiltCli, type Output, repository } from './built-cli.ts';

// Every file of test/fixtures/bad goes through the CLI as users have it; beside each stands what must be found, and where.
const folder = 'test/fixtures/bad';
const inventory = 'test/fixtures/inventory/good.yaml';

interface Finding {
  file: string;
  code: string;
  line: number;
  column: number;
}

const cases = readdirSync(join(repository, folder))
  .filter((name) => name.endsWith('.yaml'))
  .map((name) => name.slice(0, -'.yaml'.length));
const inventories = cases.filter((name) => name.startsWith('inventory-'));
const playbooks = cases.filter((name) => name.startsWith('playbook-'));

let cli: BuiltCli;
beforeAll(() => {
  cli = new BuiltCli();
}, 60_000);
afterAll(() => cli?.remove());

function expected(name: string): Finding[] {
  const list = JSON.parse(readFileSync(join(repository, folder, `${name}.json`), 'utf8')) as Finding[];
  return list.map((finding) => ({ ...finding, file: join(folder, finding.file ?? `${name}.yaml`) }));
}

function found(stderr: string): Finding[] {
  return [...stderr.matchAll(/^(\S+?):(\d+):(\d+) error\[(E_[A-Z_]+)\] \S/gm)].map(
    ([, file, line, column, code]) => ({
      file: file!,
      code: code!,
      line: Number(line),
      column: Number(column),
    }),
  );
}

/** Whatever is wrong: exit 64, nothing for a machine to misread, nothing of our own insides. */
function expectRefusal(output: Output): void {
  expect(output.status, output.stderr).toBe(64);
  expect(output.stdout).toBe('');
  expect(output.stderr).not.toMatch(/^\s+at .*[:(]\d+|node:internal|\.[tj]s:\d+/m);
  expect(output.stderr).not.toMatch(/[\x00-\x08\x0b-\x1f\x7f]/);
}

it('has cases of both sorts, and each says what is expected', () => {
  expect(inventories.length).toBeGreaterThanOrEqual(10);
  expect(playbooks.length).toBeGreaterThanOrEqual(10);
  expect(inventories.length + playbooks.length).toBe(cases.length);
  for (const name of cases) expect(expected(name).length, name).toBeGreaterThan(0);
});

describe('bad inventories', () => {
  it.for(inventories)('%s', { timeout: 30_000 }, async (name) => {
    const output = await cli.run(['inventory', '-i', join(folder, `${name}.yaml`), '--json']);
    expectRefusal(output);
    expect(found(output.stderr)).toEqual(expected(name));
  });
});

describe('bad playbooks', () => {
  it.for(playbooks)('%s', { timeout: 30_000 }, async (name) => {
    const output = await cli.run(['plan', join(folder, `${name}.yaml`), '-i', inventory, '--json']);
    expectRefusal(output);
    const told = found(output.stderr);
    expect(told.length).toBeGreaterThan(0);
    expect(expected(name)).toEqual(expect.arrayContaining(told));
  });

  it('validate tells everything about all of them at once', { timeout: 30_000 }, async () => {
    const files = playbooks.map((name) => join(folder, `${name}.yaml`));
    const output = await cli.run(['validate', ...files, '-i', inventory]);
    expectRefusal(output);
    expect(found(output.stderr)).toEqual(playbooks.flatMap(expected));
  });

  it('validate tells of a bad inventory and a bad playbook at once', { timeout: 30_000 }, async () => {
    const [bad, worse] = ['inventory-port', 'playbook-two-kinds'];
    const output = await cli.run(['validate', `${folder}/${worse}.yaml`, '-i', `${folder}/${bad}.yaml`]);
    expectRefusal(output);
    expect(found(output.stderr)).toEqual([...expected(bad!), ...expected(worse!)]);
  });
});
