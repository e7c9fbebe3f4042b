import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { cli } from './harness/cli.ts';
import { createFleet, type Fleet, type FleetHost } from './harness/fleet.ts';
import { snapshot } from './harness/snapshot.ts';

const playbook = fileURLToPath(new URL('../fixtures/fleet/site.yaml', import.meta.url));

let fleet: Fleet;
beforeAll(async () => {
  fleet = await createFleet({ count: 2, packages: ['hello', 'tree'] });
});
afterAll(() => fleet?.destroy());

/**
 * Every file of a host: type, mode, owner, times, content. What lies under its overlay is read-only, so the upper folder
 * and /run, a file system of its own, are all that can change.
 */
function state(host: FleetHost): string[] {
  return [...snapshot(host.upper), '-- /run', ...snapshot(join(host.root, 'run'))];
}

const hash = (lines: readonly string[]) => createHash('sha256').update(lines.join('\n')).digest('hex');

/** A login by OpenSSH that becomes root: what sshd and sudo write by themselves is there before a plan. */
function logIn(host: FleetHost): void {
  const argv = ['ssh', '-F', '/dev/null', '-o', 'BatchMode=yes', '-i', fleet.keyFile];
  const known = ['-o', `UserKnownHostsFile=${fleet.knownHostsFile}`];
  const [command, args] = fleet.inNetwork([
    ...argv,
    ...known,
    `deploy@${host.address}`,
    'sudo',
    '-n',
    'true',
  ]);
  const { status, stderr } = spawnSync(command, args, { encoding: 'utf8' });
  expect(status, stderr).toBe(0);
}

async function expectUnchanged(commands: readonly (readonly string[])[], exit: number): Promise<void> {
  for (const host of fleet.hosts) logIn(host);
  const before = fleet.hosts.map(state);
  for (const [command = '', ...flags] of commands) {
    const files = command === 'facts' ? [] : [playbook];
    const { status, stderr } = await cli(fleet, [command, ...files, '-i', fleet.inventoryFile, ...flags]);
    expect(status, stderr).toBe(command === 'facts' ? 0 : exit);
    for (const [index, host] of fleet.hosts.entries()) {
      const after = state(host);
      const changed = after.filter((line) => !before[index]!.includes(line));
      expect(changed, `${command} wrote on ${host.name}`).toEqual([]);
      expect(hash(after)).toBe(hash(before[index]!));
    }
  }
}

const readers = [['facts'], ['plan'], ['plan', '--json'], ['audit'], ['apply', '--check']];

it('on bare hosts: plan, audit, facts and apply --check leave every file as it was', async () => {
  await expectUnchanged(readers, 2);
});

it('on hosts in sync, and on hosts that drifted', async () => {
  const { status, stderr } = await cli(fleet, ['apply', playbook, '-i', fleet.inventoryFile, '--yes']);
  expect(status, stderr).toBe(0);
  await expectUnchanged(readers, 0);
  for (const { exec } of fleet.hosts.map((host) => ({ exec: host.exec.bind(host) }))) {
    exec(['sh', '-c', 'echo by hand >> /etc/motd; chmod 600 /etc/site; rm /etc/site/made']);
    exec(['rm', `/lib/modules/${fleet.root.kernel}/updates/dkms/blkfleet_hello.ko`]);
    exec(['dpkg', '--remove', 'tree']);
  }
  await expectUnchanged(readers, 2);
});
