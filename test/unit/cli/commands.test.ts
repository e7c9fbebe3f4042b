import { mkdtempSync, readFileSync, readlinkSync, rmSync, statSync, writeFileSync } from 'node:fs';
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

  it('--json is one document: what is wrong and where, and what is worth a warning', slow, async () => {
    const path = join(folder, 'wrong.yaml');
    writeFileSync(
      path,
      '- hosts: all\n  tasks: [{ command: { argv: [ls, "|", wc] } }]\n- hosts: all\n  taks: []\n',
    );
    const wrong = await cli.run(['validate', path, '--json']);
    expect(wrong).toMatchObject({ status: 64, stderr: '' });
    expect(JSON.parse(wrong.stdout)).toMatchObject({
      command: 'validate',
      ok: false,
      errors: [
        { code: 'E_UNKNOWN_KEY', at: { file: path, line: 4, col: 3 }, hint: expect.any(String), host: null },
      ],
      warnings: [{ at: { file: path, line: 2, col: 35 } }],
    });
    const right = await cli.run(['validate', 'playbooks/site.yaml', '--json']);
    expect(right).toMatchObject({ status: 0, stderr: '' });
    expect(JSON.parse(right.stdout)).toEqual({ command: 'validate', ok: true, errors: [], warnings: [] });
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

describe('flags', () => {
  it.each([
    ['-i', ['inventory', '-i', good, '-i', good], 'one inventory at a time'],
    ['-l', ['plan', 'playbooks/site.yaml', '-i', good, '-l', 'hv01', '-l', 'hv02'], "-l 'hv01:hv02'"],
    ['-t', ['apply', 'playbooks/site.yaml', '-i', good, '-t', 'one', '-t', 'two'], '-t one,two'],
  ])('%s given twice is refused, since one would be lost', slow, async (_flag, args, hint) => {
    const output = await cli.run(args);
    expect(output).toMatchObject({ status: 64, stdout: '' });
    expect(output.stderr).toContain(hint);
  });

  it('npx finds the command of this folder', slow, () => {
    expect(readlinkSync('node_modules/.bin/blkfleet')).toBe('../../dist/cli.js');
    expect(statSync('dist/cli.js').mode & 0o111).toBe(0o111);
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

describe('what flags name is looked at before any host is contacted', () => {
  const file = (name: string, content: string, mode = 0o600) => {
    const path = join(folder, name);
    writeFileSync(path, content, { mode });
    return path;
  };
  const facts = (...flags: string[]) => cli.run(['facts', '-i', good, '--json', ...flags]);

  it.for([
    ['an ssh configuration that is not there', '--ssh-config', '/nonexistent/config', 'E_FILE'],
    ['an ssh configuration that is a folder', '--ssh-config', '/etc', 'E_FILE'],
    ['known hosts that are not there', '--known-hosts', '/nonexistent/known_hosts', 'E_FILE'],
    ['known hosts that are a folder', '--known-hosts', '/etc', 'E_FILE'],
    ['a password file without end', '--become-password-file', '/dev/zero', 'E_USAGE'],
    ['a password file that is not there', '--become-password-file', '/nonexistent/pw', 'E_FILE'],
  ] as const)('%s', slow, async ([, flag, value, code]) => {
    const output = await facts(flag, value);
    expect(output, output.stderr).toMatchObject({ status: 64, stdout: '' });
    expect(output.stderr).toContain(`error[${code}]`);
    expect(output.stderr).not.toContain('hv01');
  });

  it('a report that could not be written', slow, async () => {
    const path = file('p.yaml', '- hosts: all\n  tasks: [{ file: { path: /x, content: a } }]\n');
    for (const target of ['/nonexistent/report', '/etc', '', `${path}/report`]) {
      const output = await cli.run(['audit', path, '-i', good, '--output', target]);
      expect(output, target).toMatchObject({ status: 64, stdout: '' });
      expect(output.stderr).toContain('error[E_FILE]');
      expect(output.stderr).not.toContain('hv01');
    }
  });

  it('a password file that can not be read is named with its flag, and why', slow, async () => {
    const { stderr } = await facts('--become-password-file', '/nonexistent/pw');
    expect(stderr).toContain('--become-password-file /nonexistent/pw: it does not exist');
    const { stderr: other } = await facts('--become-password-file', folder);
    expect(other).toContain(`--become-password-file ${folder}: `);
  });

  it('passwords that can be none', slow, async () => {
    for (const text of ['\n', 'a\0b\n', `${'x'.repeat(5000)}\n`])
      expect(await facts('--become-password-file', file('pw', text))).toMatchObject({ status: 64 });
  });

  it('a flag that takes files does not take the playbook', slow, async () => {
    const path = file('q.yaml', '- hosts: hv9*\n');
    const output = await cli.run(['plan', '-i', good, '--known-hosts', '/dev/null', path]);
    expect(output.status).toBe(64);
    expect(output.stderr).toContain('q.yaml');
  });
});

it('--version is that of package.json', slow, async () => {
  const { version } = JSON.parse(readFileSync('package.json', 'utf8'));
  expect(await cli.run(['--version'])).toMatchObject({ status: 0, stdout: `${version}\n`, stderr: '' });
});

describe('lab', () => {
  it('one that does not run can not be reached', slow, async () => {
    for (const action of ['ssh', 'reboot']) {
      const output = await cli.run(['lab', action, '--name', 'never-made']);
      expect(output.status, action).toBe(4);
      expect(output.stderr).toContain("the lab 'never-made' does not run");
    }
  });
});

describe('what can not be written', () => {
  it('a reader that leaves early changes nothing', slow, async () => {
    const output = await cli.shell(`"$@" | head -c 1 >/dev/null; echo "\${PIPESTATUS[0]}"`, [
      'inventory',
      '-i',
      good,
      '--json',
    ]);
    expect(output).toMatchObject({ stdout: '0\n', stderr: '' });
  });

  it('a full disk is told, and is not exit 0', slow, async () => {
    for (const args of [
      ['inventory', '-i', good],
      ['schema', 'playbook'],
      ['validate', 'playbooks/site.yaml'],
    ]) {
      const output = await cli.shell('"$@" >/dev/full', args);
      expect(output.status, args[0]).toBe(70);
      expect(output.stderr).toContain('ENOSPC');
      expect(output.stderr).not.toMatch(/^\s+at |node:/m);
    }
  });
});
