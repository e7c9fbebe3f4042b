import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RunReport } from '../../src/events/events.ts';
import { cli, report } from './harness/cli.ts';
import { createFleet, type Fleet } from './harness/fleet.ts';

const playbook = fileURLToPath(new URL('../fixtures/fleet/site.yaml', import.meta.url));
const COUNT = 10;

let fleet: Fleet;
beforeAll(async () => {
  fleet = await createFleet({ count: COUNT, packages: ['hello', 'tree'] });
});
afterAll(() => fleet?.destroy());

const run = (command: string, ...more: string[]) =>
  cli(fleet, [command, playbook, '-i', fleet.inventoryFile, ...more]);

/** What each host would get or got, task by task. */
function changes(document: RunReport, status: 'pending' | 'changed') {
  return document.hosts.map(({ name, tasks }) => ({
    name,
    tasks: tasks
      .filter((task) => task.status === status)
      .map(({ play, task, kind, diff }) => ({ play, task, kind, diff })),
  }));
}

const allOk = { hosts: COUNT, ok: COUNT, changed: 0, failed: 0, unreachable: 0, pending: 0 };

describe('ten hosts, from bare to in sync', () => {
  it('plans, applies exactly that, has nothing to do then, and audits clean', async () => {
    const planned = await run('plan', '--json');
    expect(planned.status, planned.stderr).toBe(2);
    const plan = report(planned);
    expect(plan.summary).toEqual({ ...allOk, ok: 0, pending: COUNT });
    expect(changes(plan, 'pending').map(({ tasks }) => tasks.map(({ task }) => task))).toEqual(
      Array(COUNT).fill([
        'small packages',
        'folder',
        'limits',
        'message of the day',
        'module',
        'made once',
        'limits were changed',
      ]),
    );

    const applied = await run('apply', '--json', '--yes');
    expect(applied.status, applied.stderr).toBe(0);
    const apply = report(applied);
    expect(apply.summary).toEqual({ ...allOk, ok: 0, changed: COUNT });
    expect(changes(apply, 'changed')).toEqual(changes(plan, 'pending'));
    for (const { name, exec } of fleet.hosts.map((host) => ({
      name: host.name,
      exec: host.exec.bind(host),
    }))) {
      expect(exec(['cat', '/etc/motd']).stdout).toBe(
        `${name} belongs to the storage team.\nChanges by hand are undone.\n`,
      );
      expect(exec(['stat', '-c', '%a', '/etc/site/limits.conf']).stdout).toBe('640\n');
      expect(exec(['dpkg-query', '-W', '-f', `\${db:Status-Status} `, 'hello', 'tree']).stdout).toBe(
        'installed installed ',
      );
      expect(exec(['hello']).stdout).toBe('Hello, world!\n');
      expect(exec(['modinfo', '-k', fleet.root.kernel, '-F', 'version', 'blkfleet_hello']).stdout).toBe(
        '1.0\n',
      );
      expect(exec(['cat', '/etc/site/made', '/etc/site/changes']).stdout).toBe('made\nchanged\n');
      expect(exec(['ls', '-A', '/var/lib/blkfleet', '/run/blkfleet']).stdout).not.toMatch(/jobs|lock/);
    }

    const again = await run('plan', '--json');
    expect(again.status, again.stderr).toBe(0);
    expect(report(again).summary).toEqual(allOk);
    const audit = await run('audit', '--format', 'json');
    expect(audit.status, audit.stderr).toBe(0);
    expect(report(audit).hosts.map(({ name, status }) => [name, status])).toEqual(
      fleet.hosts.map(({ name }) => [name, 'ok']),
    );
    const reapplied = await run('apply', '--json', '--yes');
    expect(reapplied.status).toBe(0);
    expect(report(reapplied).summary).toEqual(allOk);
  });

  it('finds a file changed by hand on one host, names host, file and line, and mends just that', async () => {
    const host = fleet.host('hv07');
    host.exec(['sed', '-i', 's/^hard 65536$/hard 1024/', '/etc/site/limits.conf']);
    const audit = await run('audit', '--format', 'json');
    expect(audit.status, audit.stderr).toBe(2);
    const document = report(audit);
    expect(document.summary).toEqual({ ...allOk, ok: COUNT - 1, pending: 1 });
    const [drifted, ...others] = document.hosts.filter(({ status }) => status !== 'ok');
    expect(others).toEqual([]);
    expect(drifted).toMatchObject({ name: 'hv07', status: 'pending' });
    const [task] = drifted!.tasks.filter(({ status, diff }) => status === 'pending' && diff.length > 0);
    expect(task!.task).toBe('limits');
    expect(JSON.stringify(task!.diff)).toContain('/etc/site/limits.conf');
    expect(task!.diff[0]!.from).toContain('line 3: "hard 1024"');
    expect(task!.diff[0]!.to).toContain('line 3: "hard 65536"');

    const table = await run('audit');
    expect(table.status).toBe(2);
    const row = table.stdout.split('\n').find((line) => line.startsWith('hv07'));
    expect(row).toContain('/etc/site/limits.conf');
    expect(row).toContain('line 3');

    const applied = await run('apply', '--json', '--yes');
    expect(applied.status, applied.stderr).toBe(0);
    const apply = report(applied);
    expect(apply.summary).toEqual({ ...allOk, ok: COUNT - 1, changed: 1 });
    expect(changes(apply, 'changed').filter(({ tasks }) => tasks.length > 0)).toMatchObject([
      { name: 'hv07', tasks: [{ task: 'limits' }, { task: 'limits were changed' }] },
    ]);
    expect(host.exec(['sed', '-n', '3p', '/etc/site/limits.conf']).stdout).toBe('hard 65536\n');
    expect((await run('audit')).status).toBe(0);
  });
});
