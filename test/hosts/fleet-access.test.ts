import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { cli, inTerminal, report, startCli } from './harness/cli.ts';
import { createFleet, type Fleet, type Output } from './harness/fleet.ts';
import { LOGIN_PASSWORD } from './harness/layers.ts';

function playbook(fleet: Fleet): string {
  const file = join(fleet.folder, 'who.yaml');
  writeFileSync(
    file,
    `- name: who
  hosts: all
  become: true
  tasks:
    - name: mark
      command: { argv: [sh, -c, "{ id -un; cat; env; } > /etc/mark 2>&1"], creates: /etc/mark }
`,
  );
  return file;
}

const apply = (fleet: Fleet, ...more: string[]) =>
  cli(fleet, ['apply', playbook(fleet), '-i', fleet.inventoryFile, '--yes', '--json', ...more]);

/** The code of the first host's error. */
function codeOf(output: Output): string | undefined {
  return report(output).hosts[0]?.error?.code;
}

describe('host keys', () => {
  let fleet: Fleet;
  beforeAll(async () => {
    fleet = await createFleet({ count: 2 });
  });
  afterAll(() => fleet?.destroy());

  it('one that changed is refused, says so, and nothing is run there; accept-new does not help', async () => {
    const lines = readFileSync(fleet.knownHostsFile, 'utf8').trim().split('\n');
    const [first = '', second = ''] = lines.map((line) => line.split(' ').slice(1).join(' '));
    const file = join(fleet.folder, 'swapped');
    const address = fleet.host('hv01').address;
    writeFileSync(file, `${address} ${second}\n${fleet.host('hv02').address} ${second}\n`);
    for (const mode of ['strict', 'accept-new']) {
      const output = await apply(fleet, '--known-hosts', file, '--host-keys', mode, '-l', 'hv01');
      expect(output.status, output.stderr).toBe(4);
      expect(codeOf(output)).toBe('E_HOST_KEY');
      const said = report(output).hosts[0]!.error!;
      expect(`${said.message} ${said.hint}`).toContain(file);
      expect(output.stderr).toContain('hv01');
      expect(output.stderr).not.toMatch(/\n {4}at /);
    }
    expect(fleet.host('hv01').exec(['cat', '/etc/mark']).status).not.toBe(0);
    expect(first).not.toBe(second);
  });

  it('an unknown one is refused, unless it is to be accepted: then it is kept and strict afterwards', async () => {
    const file = join(fleet.folder, 'empty');
    writeFileSync(file, '');
    const refused = await apply(fleet, '--known-hosts', file);
    expect(refused.status, refused.stderr).toBe(4);
    expect(report(refused).hosts.map(({ error }) => error?.code)).toEqual(['E_HOST_KEY', 'E_HOST_KEY']);
    expect(readFileSync(file, 'utf8')).toBe('');
    const accepted = await apply(fleet, '--known-hosts', file, '--host-keys', 'accept-new');
    expect(accepted.status, accepted.stderr).toBe(0);
    expect(readFileSync(file, 'utf8').trim().split('\n')).toHaveLength(2);
    expect((await apply(fleet, '--known-hosts', file)).status).toBe(0);
  });
});

describe('sudo', () => {
  /** Each word that any process of the machine had in its arguments or environment while the run lasted. */
  async function watched(fleet: Fleet, run: ReturnType<typeof startCli>): Promise<Output & { leak: string }> {
    let leak = '';
    let running = true;
    const done = run.done.finally(() => {
      running = false;
    });
    while (running) {
      for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name)))
        for (const part of ['cmdline', 'environ'])
          try {
            if (readFileSync(`/proc/${pid}/${part}`, 'latin1').includes(LOGIN_PASSWORD))
              leak += `${pid} ${part}\n`;
          } catch {
            // it ended while we looked
          }
      await sleep(5);
    }
    // Nor did it come to a file of the host.
    for (const host of fleet.hosts)
      leak += host.exec(['grep', '-rls', LOGIN_PASSWORD, '/etc', '/var', '/run', '/tmp', '/home']).stdout;
    return { ...(await done), leak };
  }

  const withPassword = (fleet: Fleet, password: string) => {
    const file = join(fleet.folder, 'password');
    writeFileSync(file, `${password}\n`, { mode: 0o600 });
    const args = ['apply', playbook(fleet), '-i', fleet.inventoryFile, '--yes', '--json'];
    return startCli(fleet, [...args, '--become-password-file', file]);
  };

  describe('that wants a password', () => {
    let fleet: Fleet;
    beforeAll(async () => {
      fleet = await createFleet({ count: 2, sudo: 'password' });
    });
    afterAll(() => fleet?.destroy());

    it('and gets none, or a wrong one: E_SUDO, exit 3', async () => {
      const none = await apply(fleet);
      expect(none.status, none.stderr).toBe(3);
      expect(codeOf(none)).toBe('E_SUDO');
      const wrong = await withPassword(fleet, 'Wrong-Canary-32').done;
      expect(wrong.status, wrong.stderr).toBe(3);
      expect(codeOf(wrong)).toBe('E_SUDO');
      expect(wrong.stdout + wrong.stderr).not.toContain('Wrong-Canary-32');
    });

    it('and gets it: it works, and the password is in no output, argument, environment or file', async () => {
      const output = await watched(fleet, withPassword(fleet, LOGIN_PASSWORD));
      expect(output.status, output.stderr).toBe(0);
      expect(output.leak).toBe('');
      expect(output.stdout + output.stderr).not.toContain(LOGIN_PASSWORD);
      expect(fleet.host('hv01').exec(['cat', '/etc/mark']).stdout).toMatch(/^root\n/);
    });

    it('and it is typed at a terminal, where it is not echoed', async () => {
      for (const host of fleet.hosts) host.exec(['rm', '/etc/mark']);
      const args = ['apply', playbook(fleet), '-i', fleet.inventoryFile, '--yes', '-K'];
      const { status, screen } = await inTerminal(fleet, args, /password: $/, `${LOGIN_PASSWORD}\n`);
      expect(status, screen).toBe(0);
      expect(screen).not.toContain(LOGIN_PASSWORD);
      for (const host of fleet.hosts) expect(host.exec(['cat', '/etc/mark']).stdout).toMatch(/^root\n/);
    });
  });

  describe('without a password', () => {
    let fleet: Fleet;
    beforeAll(async () => {
      fleet = await createFleet({ count: 1 });
    });
    afterAll(() => fleet?.destroy());

    it('never sees the one it was given', async () => {
      const output = await watched(fleet, withPassword(fleet, LOGIN_PASSWORD));
      expect(output.status, output.stderr).toBe(0);
      expect(output.leak).toBe('');
      expect(output.stdout + output.stderr).not.toContain(LOGIN_PASSWORD);
    });
  });

  describe('that refuses', () => {
    let fleet: Fleet;
    beforeAll(async () => {
      fleet = await createFleet({ count: 1, sudo: 'none' });
    });
    afterAll(() => fleet?.destroy());

    it('is E_SUDO, exit 3', async () => {
      const output = await apply(fleet);
      expect(output.status, output.stderr).toBe(3);
      expect(codeOf(output)).toBe('E_SUDO');
    });
  });
});

describe('a jump host', () => {
  let fleet: Fleet;
  beforeAll(async () => {
    fleet = await createFleet({ count: 3 });
  });
  afterAll(() => fleet?.destroy());

  it('is passed through: hosts that let only it in are reached', async () => {
    const gate = fleet.host('hv01').address;
    for (const name of ['hv02', 'hv03'])
      fleet.host(name).exec(['sed', '-i', `s/^/from="${gate}" /`, '/home/deploy/.ssh/authorized_keys']);
    const direct = await apply(fleet, '-l', 'hv02');
    expect(direct.status, direct.stderr).toBe(4);
    expect(codeOf(direct)).toBe('E_AUTH');
    const inventory = readFileSync(fleet.inventoryFile, 'utf8').replace(/(hv0[23]: \{ )/g, '$1jump: hv01, ');
    const file = join(fleet.folder, 'jump.yaml');
    writeFileSync(file, inventory);
    const output = await cli(fleet, [
      'apply',
      playbook(fleet),
      '-i',
      file,
      '--yes',
      '--json',
      '-l',
      'hv02:hv03',
    ]);
    expect(output.status, output.stderr).toBe(0);
    expect(report(output).hosts.map(({ name, status }) => [name, status])).toEqual([
      ['hv02', 'changed'],
      ['hv03', 'changed'],
    ]);
  });
});
