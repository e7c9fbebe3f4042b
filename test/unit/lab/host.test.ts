import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { loadInventory } from '../../../src/inventory/load.ts';
import { selectHosts } from '../../../src/inventory/pattern.ts';
import { choosePort, inventoryText } from '../../../src/lab/host.ts';

const hostKey = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIG4CWtwQ2hCsrqUl1rQ4SEG5CMgjS35DuwUU/eEhd+C+';

// `null` and `007` would be something else than a name in plain YAML.
test.each(['lab', 'null', '007'])('the inventory that lab %s writes is one that we read', async (name) => {
  const folder = mkdtempSync(join(tmpdir(), 'blkfleet-lab-'));
  try {
    const file = join(folder, 'inventory.yaml');
    writeFileSync(file, inventoryText({ key: '/a "b"/id' }, { name, port: 2222, hostKey }));
    const inventory = await loadInventory(file);
    const hosts = selectHosts(inventory, 'hypervisors');
    expect(hosts).toEqual([name]);
    expect(inventory.hosts.get(name)!.connection).toMatchObject({
      address: '127.0.0.1',
      port: 2222,
      user: 'deploy',
      identity_file: '/a "b"/id',
      become: true,
      host_keys: [hostKey],
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('the port of before is kept while it is free', async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  const other = await choosePort(port);
  expect(other).not.toBe(port);
  expect(other).toBeGreaterThan(1023);
  await new Promise((resolve) => server.close(resolve));
  expect(await choosePort(port)).toBe(port);
});
