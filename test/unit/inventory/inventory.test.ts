import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { graphLines } from '../../../src/inventory/graph.ts';
import { loadInventory } from '../../../src/inventory/load.ts';
import { selectHosts } from '../../../src/inventory/pattern.ts';
import { FleetError } from '../../../src/lib/errors.ts';

const folder = mkdtempSync(join(tmpdir(), 'blkfleet-inventory-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const load = (text: string) => {
  const path = join(folder, 'inventory.yaml');
  writeFileSync(path, text);
  return loadInventory(path);
};

const findings = (text: string) =>
  load(text).then(
    () => [],
    (error: FleetError) => error.diagnostics.map(({ code, at }) => `${code} ${at?.line}:${at?.col}`),
  );

const fleet = `
all:
  vars: { level: all, only_all: 1 }
  hosts: { lone: }
  children:
    west:
      vars: { level: west, region: west }
      children:
        rack_b: { vars: { level: rack_b }, hosts: { "hv[03:04]": } }
        rack_a: { vars: { level: rack_a, rack: a }, hosts: { hv01: { level: own }, hv02: } }
    canary:
      vars: { region: canary }
      hosts: { hv01: , hv03: { own: 3 } }
`;

describe('variables', () => {
  it('from the outer group to the inner, of one depth by name, then the own', async () => {
    const { hosts } = await load(fleet);
    expect(hosts.get('hv01')!.vars).toEqual({ level: 'own', only_all: 1, region: 'west', rack: 'a' });
    expect(hosts.get('hv03')!.vars).toEqual({ level: 'rack_b', only_all: 1, region: 'west', own: 3 });
    expect(hosts.get('lone')!.vars).toEqual({ level: 'all', only_all: 1 });
  });

  it('know where they stand', async () => {
    const inventory = await load(fleet);
    const line = (host: string, name: string) => {
      const place = inventory.whereIs(host, name);
      return place?.yaml.positionOf(place.path).line;
    };
    expect(line('hv01', 'level')).toBe(10);
    expect(line('hv02', 'level')).toBe(10);
    expect(line('hv04', 'level')).toBe(9);
    expect(line('hv04', 'region')).toBe(7);
    expect(line('hv04', 'only_all')).toBe(3);
    expect(line('hv04', 'nothing')).toBeUndefined();
    expect(inventory.whereIs('hv03', 'level')!.path).toBe(inventory.whereIs('hv04', 'level')!.path);
  });

  it('say how a host is reached; a key is relative to the file, ~ is home', async () => {
    const { hosts } = await load(
      'all: { hosts: { a: { address: 192.0.2.1, port: 2222, user: x, identity_file: keys/id, jump: "b,u@c:1", become: false }, b: { identity_file: ~/id } } }',
    );
    expect(hosts.get('a')!.connection).toEqual({
      address: '192.0.2.1',
      port: 2222,
      user: 'x',
      identity_file: join(folder, 'keys/id'),
      jump: 'b,u@c:1',
      become: false,
    });
    expect(hosts.get('b')!.connection.identity_file).toBe(join(homedir(), 'id'));
  });

  it('a group or host mentioned again is merged', async () => {
    const { hosts, groups } = await load(`
all:
  children:
    a: { hosts: { hv01: { x: 1, y: 1 } } }
    b: { hosts: { hv01: { y: 2 } }, children: { a: { vars: { z: 3 } } } }`);
    expect(hosts.get('hv01')!.vars).toEqual({ x: 1, y: 2, z: 3 });
    expect(hosts.get('hv01')!.groups).toEqual(['all', 'b', 'a']);
    expect(groups.get('a')!.vars).toEqual({ z: 3 });
  });

  it('a vars map that several groups share by alias does not mix their values', async () => {
    const { hosts } = await load(`
all:
  children:
    a: { vars: &v { x: 1 }, hosts: { h1: } }
    b: { vars: *v, hosts: { h2: { x: 2 } } }`);
    expect([hosts.get('h1')!.vars.x, hosts.get('h2')!.vars.x]).toEqual([1, 2]);
  });
});

describe('patterns', () => {
  it.for<[string, string]>([
    ['all', 'lone hv03 hv04 hv01 hv02'],
    ['west', 'hv03 hv04 hv01 hv02'],
    ['hv01', 'hv01'],
    ['hv0*', 'hv03 hv04 hv01 hv02'],
    ['rack_a:lone', 'lone hv01 hv02'],
    ['rack_a,lone', 'lone hv01 hv02'],
    ['west:&canary', 'hv03 hv01'],
    ['&canary:west', 'hv03 hv01'],
    ['west:!canary', 'hv04 hv02'],
    ['!west', 'lone'],
    ['west:!canary:!hv02', 'hv04'],
    ['rack_?', 'hv03 hv04 hv01 hv02'],
    ['hv[01:02]', 'hv01 hv02'],
    ['hv0[12]', 'hv01 hv02'],
    ['ungrouped', 'lone'],
    ['west:!nothing*', 'hv03 hv04 hv01 hv02'],
  ])('%s', async ([pattern, hosts]) => {
    expect(selectHosts(await load(fleet), pattern).join(' ')).toBe(hosts);
  });

  it.for<[string, string | undefined]>([
    ['rack_bb', 'did you mean "rack_b"?'],
    ['west:!west', undefined],
    ['', 'all selects every host'],
    ['x*', undefined],
    ['hv[01:09]', undefined],
    ['hv[2:1]', undefined],
  ])('%s is refused', async ([pattern, hint]) => {
    const inventory = await load(fleet);
    let error: unknown;
    try {
      selectHosts(inventory, pattern);
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(FleetError);
    expect(error).toMatchObject({ code: 'E_PATTERN' });
    if (hint !== undefined) expect((error as FleetError).hint).toBe(hint);
  });
});

describe('what is wrong', () => {
  it.for<[string, string, string[]]>([
    [
      'a cycle over two places',
      'all:\n  children:\n    a: { children: { b: } }\n    b: { children: { a: } }\n',
      ['E_INVENTORY 4:22'],
    ],
    ['a reserved name', 'all:\n  hosts:\n    h: { groups: 1 }\n', ['E_INVENTORY 3:10']],
    ['a name that is none', 'all:\n  hosts:\n    h: { my-var: 1 }\n', ['E_INVENTORY 3:10']],
    [
      'a group name',
      'all:\n  children:\n    "a b": { hosts: { h: } }\n',
      ['E_INVENTORY 3:5', 'E_INVENTORY 1:1'],
    ],
    ['a key without a fingerprint', 'all:\n  hosts:\n    h: { host_keys: [] }\n', ['E_SCHEMA 3:21']],
    ['a word of Ansible', 'all:\n  hosts:\n    h: { ansible_connection: local }\n', ['E_UNKNOWN_KEY 3:10']],
  ])('%s', async ([, text, expected]) => {
    const found = await findings(text);
    expect(found[0]).toBe(expected[0]);
  });

  it('two names for one address are a warning with a place', async () => {
    const { warnings } = await load(
      'all:\n  hosts:\n    a: { address: 192.0.2.1 }\n    b: { address: 192.0.2.1 }\n',
    );
    expect(warnings).toMatchObject([{ code: 'E_INVENTORY', at: { line: 4, col: 5 } }]);
    const { warnings: none } = await load(
      'all: { hosts: { a: { address: x }, b: { address: x, port: 23 } } }',
    );
    expect(none).toEqual([]);
  });

  it("a connection word mistyped is a warning with a place, and a name of one's own is none", async () => {
    const { warnings } = await load(
      'all:\n  vars: { identty_file: k }\n  hosts:\n    a: { adress: 192.0.2.1 }\n    b: { host_key: x, Address: y }\n',
    );
    expect(warnings).toMatchObject([
      { at: { line: 2, col: 11 }, hint: expect.stringContaining('identity_file') },
      { at: { line: 4, col: 10 }, hint: expect.stringContaining('address') },
      { at: { line: 5, col: 10 }, hint: expect.stringContaining('host_keys') },
      { at: { line: 5, col: 23 }, hint: expect.stringContaining('address') },
    ]);
    const own =
      'users: 1, ports: 2, jumps: 3, addresses: 4, address2: 5, post: 6, rack: 7, boot: 8, queue_count: 9';
    expect((await load(`all: { vars: { ${own} }, hosts: { a: } }`)).warnings).toEqual([]);
  });
});

it('the graph shows each host below its innermost group', async () => {
  const inventory = await load(fleet);
  expect(graphLines(inventory)).toEqual([
    '@all:',
    '  |--@west:',
    '  |  |--@rack_b:',
    '  |  |  |--hv03',
    '  |  |  |--hv04',
    '  |  |--@rack_a:',
    '  |  |  |--hv01',
    '  |  |  |--hv02',
    '  |--@canary:',
    '  |  |--hv01',
    '  |  |--hv03',
    '  |--@ungrouped:',
    '  |  |--lone',
  ]);
  expect(graphLines(inventory, new Set(['lone']))).toEqual(['@all:', '  |--@ungrouped:', '  |  |--lone']);
});

it('ten thousand hosts are read in a moment', async () => {
  const started = process.cpuUsage();
  const { hosts } = await load(
    'all: { vars: { a: 1 }, children: { g: { vars: { b: 2 }, hosts: { "h[0001:9999]": { c: 3 } } } } }',
  );
  const { user, system } = process.cpuUsage(started);
  expect(hosts.get('h9999')!.vars).toEqual({ a: 1, b: 2, c: 3 });
  expect((user + system) / 1e6).toBeLessThan(5);
});

it('inventory.example.yaml is right and shows what it says', async () => {
  const inventory = await loadInventory('inventory.example.yaml');
  expect(inventory.warnings).toEqual([]);
  expect(selectHosts(inventory, 'hypervisors').length).toBe(14);
  expect(inventory.hosts.get('hv01')!.connection.host_keys).toHaveLength(1);
  expect(inventory.hosts.get('hv21')!.connection.jump).toBe('bastion');
  expect(inventory.hosts.get('hv02')!.vars.queue_count).toBe(8);
});
