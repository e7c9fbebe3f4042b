import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadInventory } from '../../src/inventory/load.ts';
import { bindPlaybook } from '../../src/playbook/bind.ts';
import { loadPlaybook } from '../../src/playbook/load.ts';

const root = resolve(import.meta.dirname, '../..');
const playbooks = readdirSync(join(root, 'playbooks')).filter((name) => name.endsWith('.yaml'));

describe.each(playbooks)('playbooks/%s', (name) => {
  it('binds to every host of the example inventory', async () => {
    const inventory = await loadInventory(join(root, 'inventory.example.yaml'));
    const plays = bindPlaybook(await loadPlaybook(join(root, 'playbooks', name)), inventory);
    const hosts = inventory.members('hypervisors');
    expect(hosts.length).toBeGreaterThan(1);
    expect(plays.flatMap((play) => play.hosts)).toEqual(expect.arrayContaining([...hosts]));
    for (const play of plays)
      for (const host of play.hosts) expect(play.declarations(host).length).toBeGreaterThan(3);
  });
});

it.each(['vhost_blk', 'dm_qcow2'])('playbooks/site.yaml names the version of %s that META has', (name) => {
  const meta = readFileSync(join(root, 'kmod', name, 'META'), 'utf8');
  const version = /^Version: (.+)$/m.exec(meta)?.[1];
  const text = readFileSync(join(root, 'playbooks/site.yaml'), 'utf8');
  expect(version).toMatch(/^\d+\.\d+\.\d+$/);
  expect(new RegExp(`${name}_version: "(.+)"`).exec(text)?.[1]).toBe(version);
});
