import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Host } from '../../src/inventory/host.ts';
import { failureOf, host, request, scratch, sshd, transport, useSshHosts, whoami } from './ssh-hosts.ts';

useSshHosts();

describe('jump hosts', () => {
  it('are passed through, one and two, shared by hosts, with host keys checked at each hop', async () => {
    const shared = transport();
    const hop = `nosudo@127.0.0.1:${sshd.port}`;
    const config = join(scratch, 'jump_config');
    writeFileSync(config, `Host *\n  IdentityFile ${sshd.identity}\n  IdentitiesOnly yes\n`);
    const jumping = transport({ sshConfigFile: config });
    const connections = await Promise.all(
      [1, 2, 3].map(() => jumping.connect(host('deploy', { jump: hop }))),
    );
    for (const connection of connections)
      expect((await connection.run(request(whoami))).frames.get('id')!.body.toString()).toBe('root\n');
    const twice = await jumping.connect(host('deploy', { jump: `${hop},pass@127.0.0.1:${sshd.port}` }));
    expect((await twice.run(request(whoami))).status).toBe(0);
    const people = execFileSync('ps', ['axo', 'args'], { encoding: 'utf8' });
    expect(people.match(/sshd: nosudo \[priv\]/g)).toHaveLength(1);
    expect((await failureOf(shared.connect(host('deploy', { jump: 'nosudo@127.0.0.1:1' })))).code).toBe(
      'E_UNREACHABLE',
    );
  });
  it('can be names of the inventory; a circle and a dead end are told', async () => {
    const bastion: Host = { ...host('nosudo'), name: 'bastion' };
    const inventory = (name: string) => (name === 'bastion' ? bastion : undefined);
    const connection = await transport({ inventory }).connect(host('deploy', { jump: 'bastion' }));
    expect((await connection.run(request(whoami))).status).toBe(0);
    const circle = { ...bastion, connection: { ...bastion.connection, jump: 'bastion' } };
    const round = transport({ inventory: () => circle }).connect(host('deploy', { jump: 'bastion' }));
    expect((await failureOf(round)).code).toBe('E_INVENTORY');
    const end = transport({ inventory }).connect(host('deploy', { jump: 'bastion', port: 1 }));
    expect((await failureOf(end)).code).toBe('E_UNREACHABLE');
  });
});
