import { cpSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { cli, report, startCli } from './harness/cli.ts';
import { createFleet, type Fleet, type FleetHost } from './harness/fleet.ts';

const fixture = fileURLToPath(new URL('../fixtures/dkms-hello', import.meta.url));

let fleet: Fleet;
let playbook: string;

// Each test has a host of its own, and mostly waits for its build: they run at once.

beforeAll(async () => {
  fleet = await createFleet({ count: 7 });
  // A module whose build takes seconds and counts itself.
  const source = join(fleet.folder, 'dkms-slow');
  cpSync(fixture, source, { recursive: true });
  const conf = readFileSync(join(source, 'dkms.conf'), 'utf8');
  writeFileSync(
    join(source, 'dkms.conf'),
    conf.replace(/^MAKE\[0\]=.*$/m, 'MAKE[0]="sh build.sh $kernel_source_dir"'),
  );
  writeFileSync(
    join(source, 'build.sh'),
    'echo build >> /var/log/builds\nsleep 4\nmake -C "$1" M="$PWD" modules\n',
  );
  playbook = join(fleet.folder, 'slow.yaml');
  writeFileSync(
    playbook,
    `- name: a slow build
  hosts: all
  become: true
  tasks:
    - name: before it
      file: { path: /etc/before, content: "x\\n" }
    - name: slow module
      dkms: { source: dkms-slow }
    - name: behind it
      file: { path: /etc/behind, content: "y\\n" }
`,
  );
});
afterAll(() => fleet?.destroy());

const args = (command: string, host: FleetHost) => [
  ...[command, playbook, '-i', fleet.inventoryFile, '-l', host.name],
  ...(command === 'apply' ? ['--yes', '--json'] : []),
];
const builds = (host: FleetHost) => {
  const file = join(host.root, 'var/log/builds');
  return existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n').length : 0;
};

/** Starts an apply and waits until its build runs. */
async function applyIntoBuild(host: FleetHost) {
  const run = startCli(fleet, args('apply', host));
  for (let wait = 0; builds(host) === 0; wait++) {
    if (wait > 600 || run.process.exitCode !== null) throw new Error(`no build began: ${run.seen()}`);
    await sleep(50);
  }
  return run;
}

/** All is as declared, by the next plan and on the host; no job, no lock, nothing that runs is left there. */
async function expectConverged(host: FleetHost): Promise<void> {
  const plan = await cli(fleet, args('plan', host));
  expect(plan.status, plan.stdout).toBe(0);
  expect(host.exec(['modinfo', '-k', fleet.root.kernel, '-F', 'version', 'blkfleet_hello']).stdout).toBe(
    '1.0\n',
  );
  expect(host.exec(['cat', '/etc/before', '/etc/behind']).stdout).toBe('x\ny\n');
  expect(host.exec(['ls', '/var/lib/blkfleet/jobs', '/run/blkfleet/lock']).stdout).toBe('');
}

it.concurrent('kill -9 of the workstation in a build: the host goes on, the next run converges, one build', async () => {
  const host = fleet.host('hv01');
  const first = await applyIntoBuild(host);
  first.process.kill('SIGKILL');
  expect((await first.done).status).toBe(null);
  const second = await cli(fleet, args('apply', host));
  expect(second.status, second.stderr).toBe(0);
  expect(report(second).summary).toMatchObject({ hosts: 1, failed: 0, unreachable: 0, pending: 0 });
  expect(second.stderr).toContain('of an earlier run');
  expect(builds(host)).toBe(1);
  await expectConverged(host);
});

/** The processes of sshd that serve sessions: the listener's children, and theirs. */
function sessions(host: FleetHost): { pid: number; name: string }[] {
  const childrenOf = (pid: number): { pid: number; name: string }[] =>
    readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
      .split(' ')
      .filter(Boolean)
      .map((child) => ({ pid: Number(child), name: readFileSync(`/proc/${child}/cmdline`, 'utf8') }))
      .filter(({ name }) => name.startsWith('sshd:'))
      .flatMap((child) => [child, ...childrenOf(child.pid)]);
  return childrenOf(host.pid);
}

it.concurrent.each([
  ['a link that breaks in a build', 'hv02', /./],
  // What follows the log goes on then, but no further channel can be opened.
  ['a session whose privileged half dies', 'hv06', /\[priv\]/],
])('%s: the same run takes it up again, one build', async (_, name, which) => {
  const host = fleet.host(name);
  const run = await applyIntoBuild(host);
  const victims = sessions(host).filter((session) => which.test(session.name));
  expect(victims).not.toEqual([]);
  for (const { pid } of victims) process.kill(pid, 'SIGKILL');
  const output = await run.done;
  expect(output.status, output.stderr).toBe(0);
  expect(report(output).hosts[0]).toMatchObject({ status: 'changed', changes: 3 });
  expect(builds(host)).toBe(1);
  await expectConverged(host);
});

it.concurrent('a job runner killed in a build: the host has failed, the next run repairs it', async () => {
  const host = fleet.host('hv03');
  const run = await applyIntoBuild(host);
  host.exec(['sh', '-c', 'kill -9 $(cat /var/lib/blkfleet/jobs/*/pid)']);
  const output = await run.done;
  expect(output.status, output.stderr).toBe(3);
  expect(report(output).hosts[0]).toMatchObject({ status: 'failed', error: { host: 'hv03' } });
  const second = await cli(fleet, args('apply', host));
  expect(second.status, second.stderr).toBe(0);
  await expectConverged(host);
});

it.concurrent('a host that restarts in a build: that run says that the job was cut short, the next one repairs it', async () => {
  const host = fleet.host('hv04');
  const run = await applyIntoBuild(host);
  await host.stop();
  await host.start();
  const output = await run.done;
  expect(output.status, output.stderr).toBe(3);
  expect(report(output).hosts[0]!.error).toMatchObject({ code: 'E_STEP', task: 'slow module' });
  const second = await cli(fleet, args('apply', host));
  expect(second.status, second.stderr).toBe(0);
  await expectConverged(host);
});

it.concurrent('host and workstation go down in a build: the next run finds what was cut short and repairs it', async () => {
  const host = fleet.host('hv07');
  const run = await applyIntoBuild(host);
  run.process.kill('SIGKILL');
  await host.stop();
  await host.start();
  const plan = await cli(fleet, args('plan', host));
  expect(plan.status, plan.stderr).toBe(2);
  const second = await cli(fleet, args('apply', host));
  expect(second.status, second.stderr).toBe(0);
  expect(second.stderr).toContain('cut short');
  await expectConverged(host);
});

it.concurrent('Ctrl-C in a build: exit 130, says what goes on where, and the next run collects it', async () => {
  const host = fleet.host('hv05');
  const run = await applyIntoBuild(host);
  run.process.kill('SIGINT');
  const output = await run.done;
  expect(output.status).toBe(130);
  const job = /hv05.*\b([a-z0-9]+-[a-f0-9]{8}-[a-f0-9]{8})\b/.exec(output.stderr)?.[1];
  expect(job, output.stderr).toBeTruthy();
  expect(existsSync(join(host.root, `var/lib/blkfleet/jobs/${job}`))).toBe(true);
  expect(report(output).hosts[0]!.error).toMatchObject({ code: 'E_INTERRUPTED', host: 'hv05' });
  const second = await cli(fleet, args('apply', host));
  expect(second.status, second.stderr).toBe(0);
  expect(builds(host)).toBe(1);
  await expectConverged(host);
});
