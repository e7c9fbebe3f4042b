import { cpSync, existsSync, lstatSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { cli, report } from './harness/cli.ts';
import { createFleet, type Fleet } from './harness/fleet.ts';

const repository = fileURLToPath(new URL('../../', import.meta.url));

let fleet: Fleet;
beforeAll(async () => {
  fleet = await createFleet({ count: 1 });
});
afterAll(() => fleet?.destroy());

/** Every path that a host has beyond its root, and /run; what an overlay notes of a removed one is none. */
function paths(): string[] {
  const { upper, root } = fleet.host('hv01');
  const found: string[] = [];
  const walk = (folder: string, shown: string) => {
    for (const name of readdirSync(folder)) {
      const path = join(folder, name);
      const status = lstatSync(path);
      if (status.isCharacterDevice() && status.rdev === 0) continue;
      // A folder of the root that something was put into has a copy above it.
      const copied = status.isDirectory() && existsSync(join(fleet.root.folder, shown, name));
      if (!copied) found.push(`${shown}/${name}`);
      if (status.isDirectory()) walk(path, `${shown}/${name}`);
    }
  };
  walk(upper, '');
  walk(join(root, 'run'), '/run');
  return found.sort();
}

// What dkms and depmod keep for themselves, and what a login leaves.
const others =
  /^\/(var\/lib\/dkms(\/mok\.(key|pub))?|usr\/lib\/modules(\/[^/]+(\/modules\.[a-z.]+)?)?|run\/sudo.*)$/;

/** A package of the name that builds in a moment. */
function smallPackage(name: string, module: string): string {
  const folder = join(fleet.folder, name);
  cpSync(join(repository, 'test/fixtures/dkms-hello'), folder, { recursive: true });
  renameSync(join(folder, 'blkfleet_hello.c'), join(folder, `${module}.c`));
  for (const file of ['dkms.conf', 'Kbuild']) {
    const text = readFileSync(join(folder, file), 'utf8');
    writeFileSync(
      join(folder, file),
      text.replaceAll('blkfleet-hello', name).replaceAll('blkfleet_hello', module),
    );
  }
  return folder;
}

it('remove.yaml leaves nothing of what site.yaml puts on a host', async () => {
  // site.yaml without what needs a kernel of one's own and QEMU; their kinds have such tests themselves.
  const site = join(fleet.folder, 'site.yaml');
  const checks = '/usr/local/lib/blkfleet/vhost-blk-check';
  const check = `${checks}/0.1.0/sbin/vhost-blk-check`;
  const tool = '/usr/local/lib/blkfleet/blkfleet-qcow2/0.1.0/sbin/blkfleet-qcow2';
  writeFileSync(
    site,
    `- name: site
  hosts: hypervisors
  become: true
  tasks:
    - name: built
      dkms: { source: "${smallPackage('vhost-blk', 'vhost_blk')}" }
    - name: built too
      dkms: { source: "${smallPackage('dm-qcow2', 'dm_qcow2')}" }
    - name: tool
      command: { argv: [install, -D, /bin/true, ${tool}], creates: ${tool} }
    - name: its build folder
      file: { path: /run/blkfleet-qcow2-tool, state: directory }
    - name: its link
      file: { path: /usr/local/sbin/blkfleet-qcow2, state: link, target: ${tool} }
    - name: check
      command: { argv: [install, -D, /bin/true, ${check}], creates: ${check} }
    - name: one of an older version
      command: { argv: [install, -D, /bin/true, ${checks}/0.0.9/sbin/vhost-blk-check], creates: ${checks}/0.0.9/sbin/vhost-blk-check }
    - name: build folder
      file: { path: /run/blkfleet-check, state: directory }
    - name: link
      file: { path: /usr/local/sbin/vhost-blk-check, state: link, target: ${check} }
    - name: recorded
      command: { argv: [sh, -c, "mkdir -p /var/lib/blkfleet/checked && touch /var/lib/blkfleet/checked/vhost_blk"], creates: /var/lib/blkfleet/checked/vhost_blk }
`,
  );
  const run = (command: string, file: string, ...more: string[]) =>
    cli(fleet, [command, file, '-i', fleet.inventoryFile, '--json', ...more]);
  await run('plan', site);
  const before = paths();
  const applied = await run('apply', site, '--yes');
  expect(applied.status, applied.stderr).toBe(0);
  const remove = join(repository, 'playbooks/remove.yaml');
  const planned = report(await run('plan', remove));
  const removed = await run('apply', remove, '--yes');
  expect(removed.status, removed.stderr).toBe(0);
  const of = (document: typeof planned) => document.hosts[0]!.tasks.map(({ task, diff }) => [task, diff]);
  expect(of(report(removed))).toEqual(of(planned));
  expect(paths().filter((path) => !before.includes(path) && !others.test(path))).toEqual([]);
  const again = await run('plan', remove);
  expect(again.status, again.stdout).toBe(0);
});
