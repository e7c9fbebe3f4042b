import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { cli, report } from './harness/cli.ts';
import { createFleet, type Fleet } from './harness/fleet.ts';

// A host that was taken over answers what it likes. The first host is honest in each case, and must be served.
let fleet: Fleet;
let playbook: string;

/** Login shells, by what they do; `$#` and stdin are what sshd gives a shell for a command. */
const shells = {
  garbage: 'head -c 300000 /dev/urandom; exit 0',
  // A terminal title, a clear screen, a carriage return, a bell, 8-bit CSI, bidi and zero-width characters.
  escapes:
    "printf '\\033]0;owned\\007\\033[2J\\033[31mred\\r\\b\\302\\2331m\\342\\200\\256abc\\342\\200\\213\\n' >&2; printf '\\033[2Jout\\n'; exit 3",
  flood: 'exec yes "\x1b[2Jowned"',
  silent: 'exit 0',
  // Runs the script, then cuts the answers in the middle of a frame.
  cut: '/bin/sh "$@" | head -c 300',
  // Answers of the right form with a nonce of its own.
  forged:
    "printf '\\n%s h\\n\\n%s b facts\\nuid 0\\n\\n%s e facts 0\\n\\n%s q 0\\n' $(printf '0%.0s' $(seq 32)) x x x; exit 0",
  // Honest, but a program that the probe runs prints 20 MB.
  huge: 'exec /bin/sh "$@"',
} as const;
const names = Object.keys(shells) as (keyof typeof shells)[];

beforeAll(async () => {
  fleet = await createFleet({ count: names.length + 1 });
  for (const [index, name] of names.entries()) {
    const host = fleet.hosts[index + 1]!;
    host.exec(
      ['sh', '-c', 'cat > /usr/local/bin/shell; chmod 755 /usr/local/bin/shell'],
      `#!/bin/sh\n${shells[name]}\n`,
    );
    host.exec(['usermod', '-s', '/usr/local/bin/shell', 'deploy']);
  }
  fleet.hosts[1 + names.indexOf('huge')]!.exec(
    ['sh', '-c', 'cat > /usr/local/bin/awk; chmod 755 /usr/local/bin/awk'],
    '#!/bin/sh\nhead -c 20000000 /dev/zero | tr "\\0" x\n',
  );
  playbook = join(fleet.folder, 'file.yaml');
  writeFileSync(
    playbook,
    `- name: a file
  hosts: all
  become: true
  tasks:
    - name: file
      file: { path: /etc/one, content: "1\\n" }
`,
  );
});
afterAll(() => fleet?.destroy());

/** Characters that a terminal acts on; a newline ends a line. */
const raw = /[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069]/;

it('each is failed with its own error, nothing of it reaches the terminal raw, memory stays bounded', async () => {
  const statistics = join(fleet.folder, 'statistics');
  const output = await cli(fleet, ['apply', playbook, '-i', fleet.inventoryFile, '--yes', '--json'], {
    env: { BLKFLEET_STATS: statistics },
  });
  expect(output.status, output.stderr).toBe(3);
  const [honest, ...hostile] = report(output).hosts;
  expect(honest).toMatchObject({ name: 'hv01', status: 'changed' });
  expect(
    Object.fromEntries(hostile.map(({ status, error }, index) => [names[index], [status, error?.code]])),
  ).toEqual({
    garbage: ['failed', 'E_LIMIT'],
    escapes: ['failed', 'E_SHELL'],
    flood: ['failed', 'E_LIMIT'],
    silent: ['failed', 'E_SHELL'],
    cut: ['failed', 'E_PROTOCOL'],
    forged: ['failed', 'E_SHELL'],
    huge: ['failed', 'E_LIMIT'],
  });
  expect(output.stdout).not.toMatch(raw);
  expect(output.stderr).not.toMatch(raw);
  expect(output.stderr).not.toMatch(/\n {4}at /);
  expect(JSON.parse(readFileSync(statistics, 'utf8')).peakRssKiB).toBeLessThan(250 * 1024);
  for (const host of fleet.hosts.slice(1)) expect(host.exec(['ls', '/etc/one']).status).not.toBe(0);
});

it('for people it is one line a host, escaped', async () => {
  const output = await cli(fleet, ['plan', playbook, '-i', fleet.inventoryFile]);
  expect(output.status).toBe(3);
  expect(output.stdout).not.toMatch(raw);
  expect(output.stderr).not.toMatch(raw);
  expect(output.stdout + output.stderr).not.toContain('\x1b');
});
