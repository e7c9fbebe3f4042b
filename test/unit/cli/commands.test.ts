import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BuiltCli } from './built-cli.ts';

const good = 'test/fixtures/inventory/good.yaml';
const slow = { timeout: 30_000 };
let cli: BuiltCli;
let folder: string;
beforeAll(() => {
  cli = new BuiltCli();
  folder = mkdtempSync(join(tmpdir(), 'blkfleet cli ümlaut-'));
}, 60_000);
afterAll(() => {
  cli?.remove();
  if (folder) rmSync(folder, { recursive: true, force: true });
});

describe('validate', () => {
  it('a right playbook with its inventory: exit 0, one line each', slow, async () => {
    const output = await cli.run(['validate', 'playbooks/site.yaml', '-i', 'inventory.example.yaml']);
    expect(output).toMatchObject({ status: 0, stderr: '' });
    expect(
      output.stdout
        .trim()
        .split('\n')
        .map((line) => line.split(':')[0]),
    ).toEqual(['inventory.example.yaml', 'playbooks/site.yaml']);
  });

  it('every playbook that users get is right without an inventory too', slow, async () => {
    const output = await cli.run(['validate', 'playbooks/site.yaml', 'playbooks/remove.yaml']);
    expect(output.status, output.stderr).toBe(0);
  });

  it('a path with blanks and other letters is shown as it is', slow, async () => {
    const path = join(folder, 'my playbook.yaml');
    writeFileSync(path, '- hosts: all\n  taks: []\n');
    const output = await cli.run(['validate', path]);
    expect(output.status).toBe(64);
    expect(output.stderr).toContain(`${path}:2:3 error[E_UNKNOWN_KEY]`);
  });

  it('two names of one address are said, but are no error', slow, async () => {
    const path = join(folder, 'twice.yaml');
    writeFileSync(path, 'all:\n  hosts:\n    a: { address: x }\n    b: { address: x }\n');
    const output = await cli.run(['inventory', '-i', path]);
    expect(output.status).toBe(0);
    expect(output.stderr).toContain(`${path}:4:5 warning`);
  });
});

describe('inventory', () => {
  it('--json is one document of the shape that all commands have', slow, async () => {
    const output = await cli.run(['inventory', '-i', good, '--json', '-l', 'hv0[12]']);
    expect(output).toMatchObject({ status: 0, stderr: '' });
    const report = JSON.parse(output.stdout);
    expect(report).toMatchObject({
      command: 'inventory',
      run: { id: expect.any(String), started: expect.any(String), finished: expect.any(String) },
      summary: { hosts: 2, ok: 2, changed: 0, failed: 0, unreachable: 0, pending: 0 },
    });
    expect(report.hosts).toMatchObject([
      {
        name: 'hv01',
        status: 'ok',
        changes: 0,
        tasks: [],
        error: null,
        groups: ['all', 'hypervisors'],
        vars: { site: 'lab', number: 644, disks: ['vda', 'vdb'] },
      },
      { name: 'hv02' },
    ]);
  });

  it('--graph is the tree, without a flag one line a host', slow, async () => {
    const graph = await cli.run(['inventory', '-i', good, '--graph', '-l', 'hv02']);
    expect(graph.stdout).toBe('@all:\n  |--@hypervisors:\n  |  |--hv02\n');
    const list = await cli.run(['inventory', '-i', good]);
    expect(list.stdout).toBe('hv01  hypervisors\nhv02  hypervisors\nhv03  hypervisors\n');
  });

  it('flags that exclude each other and patterns that select nothing are exit 64', slow, async () => {
    expect(await cli.run(['inventory', '-i', good, '--graph', '--json'])).toMatchObject({
      status: 64,
      stdout: '',
    });
    const none = await cli.run(['inventory', '-i', good, '-l', 'hv9*', '--json']);
    expect(none).toMatchObject({ status: 64, stdout: '' });
    expect(none.stderr).toContain('error[E_PATTERN]');
  });
});

describe('a run', () => {
  const files = () => {
    const inventory = join(folder, 'here.yaml');
    const playbook = join(folder, 'never in sync.yaml');
    writeFileSync(inventory, 'all: { hosts: { here: { address: local } } }\n');
    writeFileSync(
      playbook,
      '- hosts: all\n  tasks: [{ name: t, command: { argv: ["true"], unless: ["false"] } }]\n',
    );
    return [playbook, '-i', inventory];
  };

  it('goes on when its reader leaves, and says by its exit code how it went', slow, async () => {
    expect(await cli.run(['plan', ...files()], { leaves: true })).toMatchObject({ status: 2 });
  });

  it('whose report could not be written contacts nothing', slow, async () => {
    const nowhere = join(folder, 'no folder', 'audit.json');
    for (const output of [nowhere, folder]) {
      const { status, stdout, stderr } = await cli.run(['audit', ...files(), '--output', output]);
      expect({ status, stdout }).toEqual({ status: 64, stdout: '' });
      expect(stderr).toMatch(/^error\[E_FILE\]/);
    }
  });
});

describe('schema', () => {
  it.for(['playbook', 'inventory'])('%s is JSON Schema', slow, async (subject) => {
    const output = await cli.run(['schema', subject]);
    expect(output).toMatchObject({ status: 0, stderr: '' });
    expect(JSON.parse(output.stdout)).toMatchObject({
      $schema: 'https://json-schema.org/draft/2020-12/schema',
    });
  });

  it('of anything else there is none', slow, async () => {
    const output = await cli.run(['schema', 'playbok']);
    expect(output).toMatchObject({ status: 64, stdout: '' });
    expect(output.stderr).toContain('did you mean "playbook"?');
  });
});
