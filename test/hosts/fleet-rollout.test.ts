import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { cli, report } from './harness/cli.ts';
import { createFleet, type Fleet } from './harness/fleet.ts';

let fleet: Fleet;
beforeAll(async () => {
  fleet = await createFleet({ count: 6 });
});
afterAll(() => fleet?.destroy());

afterEach(() => {
  for (const host of fleet.hosts) host.exec(['rm', '-f', '/etc/one', '/etc/two', '/etc/poison']);
});

/** A play of two tasks; a host that has /etc/poison fails at the first. */
function playbook(head = ''): string {
  const file = join(fleet.folder, 'rollout.yaml');
  writeFileSync(
    file,
    `- name: rollout
  hosts: hypervisors
  become: true
${head}  tasks:
    - name: one
      command: { argv: [sh, -c, "test ! -e /etc/poison && touch /etc/one"], creates: /etc/one }
      tags: [first]
    - name: two
      file: { path: /etc/two, content: "2\\n" }
      tags: [second]
`,
  );
  return file;
}

const apply = (file: string, ...more: string[]) =>
  cli(fleet, ['apply', file, '-i', fleet.inventoryFile, '--yes', '--json', ...more]);
const having = (file: string) =>
  fleet.hosts.filter((host) => existsSync(join(host.upper, 'etc', file))).map(({ name }) => name);
const poison = (...names: string[]) => {
  for (const name of names) fleet.host(name).exec(['touch', '/etc/poison']);
};

describe('-l and -t', () => {
  it.each([
    ['hypervisors', ['hv01', 'hv02', 'hv03', 'hv04', 'hv05', 'hv06']],
    ['hv0*:!hv03', ['hv01', 'hv02', 'hv04', 'hv05', 'hv06']],
    ['hv02:hv05', ['hv02', 'hv05']],
    ['hypervisors:&hv06', ['hv06']],
  ])('%s takes these hosts and no other', async (pattern, hosts) => {
    const output = await apply(playbook(), '-l', pattern);
    expect(output.status, output.stderr).toBe(0);
    expect(report(output).hosts.map(({ name }) => name)).toEqual(hosts);
    expect(having('two')).toEqual(hosts);
  });

  it('a pattern that no host fits, or a wrong one, contacts nothing', async () => {
    for (const pattern of ['hv99', 'hypervisors:&']) {
      const output = await apply(playbook(), '-l', pattern);
      expect(output.status, output.stderr).toBe(64);
      expect(output.stdout).toBe('');
    }
    expect(having('one')).toEqual([]);
  });

  it('a tag takes its tasks only', async () => {
    const output = await apply(playbook(), '-t', 'second', '-l', 'hv01');
    expect(output.status, output.stderr).toBe(0);
    expect(having('two')).toEqual(['hv01']);
    expect(having('one')).toEqual([]);
  });
});

describe('batches', () => {
  it('a canary that fails stops the rollout: no other host is touched', async () => {
    poison('hv01');
    const output = await apply(playbook('  serial: [1, 2]\n  max_fail_percentage: 100\n'));
    expect(output.status, output.stderr).toBe(3);
    const document = report(output);
    expect(document.hosts[0]).toMatchObject({
      name: 'hv01',
      status: 'failed',
      error: { code: 'E_STEP', host: 'hv01', task: 'one' },
    });
    expect(document.summary).toMatchObject({ hosts: 6, failed: 1, changed: 0, pending: 5 });
    expect(having('one')).toEqual([]);
    expect(having('two')).toEqual([]);
    expect(output.stderr).toContain('canary');
  });

  it('failures within max_fail_percentage do not stop it', async () => {
    poison('hv03');
    const output = await apply(playbook('  serial: 2\n  max_fail_percentage: 20\n'));
    expect(output.status, output.stderr).toBe(3);
    expect(report(output).summary).toMatchObject({ hosts: 6, failed: 1, changed: 5, pending: 0 });
    expect(having('two')).toEqual(['hv01', 'hv02', 'hv04', 'hv05', 'hv06']);
  });

  it('failures beyond it do, after their batch', async () => {
    poison('hv03', 'hv04');
    const output = await apply(playbook('  serial: 2\n  max_fail_percentage: 20\n'));
    expect(output.status, output.stderr).toBe(3);
    expect(report(output).summary).toMatchObject({ hosts: 6, failed: 2, changed: 2, pending: 2 });
    expect(having('two')).toEqual(['hv01', 'hv02']);
  });
});

describe('a host that is down', () => {
  beforeAll(() => fleet.host('hv04').stop());
  afterAll(() => fleet.host('hv04').start());

  it('is unreachable: exit 4, and the others are applied', async () => {
    const output = await apply(playbook());
    expect(output.status, output.stderr).toBe(4);
    const document = report(output);
    expect(document.summary).toMatchObject({ hosts: 6, unreachable: 1, changed: 5 });
    expect(document.hosts[3]).toMatchObject({
      name: 'hv04',
      status: 'unreachable',
      error: { code: expect.stringMatching(/^E_(UNREACHABLE|TIMEOUT)$/), host: 'hv04' },
    });
    const audit = await cli(fleet, ['audit', playbook(), '-i', fleet.inventoryFile]);
    expect(audit.status).toBe(4);
    // Exceptions first.
    expect(audit.stdout.split('\n')[1]).toMatch(/^hv04 +\S+ unreachable/);
  });

  it('beside one that fails: exit 3; both count against max_fail_percentage', async () => {
    poison('hv01');
    const output = await apply(playbook('  serial: [2]\n  max_fail_percentage: 30\n'), '-l', '!hv02');
    expect(output.status, output.stderr).toBe(3);
    expect(report(output).summary).toMatchObject({ hosts: 5, failed: 1, unreachable: 1 });
    expect(having('two')).not.toContain('hv06');
  });
});
