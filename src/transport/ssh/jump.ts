import type { Duplex } from 'node:stream';
import type { Client } from 'ssh2';
import type { Host } from '../../inventory/host.ts';
import { printable } from '../../lib/terminal.ts';
import { failure } from '../failure.ts';

const MAX_HOPS = 8;

/**
 * The hosts that a `jump` value names, nearest first.
 * @param jump `user@host:port`, `ssh://…` or names of inventory hosts, by comma
 * @param inventory looks a name up there; its connection variables apply then
 * @throws FleetError E_INVENTORY for what can not be read
 */
export function parseJump(host: string, jump: string, inventory: (name: string) => Host | undefined): Host[] {
  const hops = jump.split(',').map((part) => part.trim());
  if (hops.length > MAX_HOPS)
    throw failure(host, 'E_INVENTORY', `more than ${MAX_HOPS} jump hosts`, 'is the list meant like that?');
  return hops.map((hop) => {
    const listed = inventory(hop);
    if (listed) return listed;
    const match = /^(?:ssh:\/\/)?(?:([^@\s]+)@)?(\[[0-9a-fA-F:.%]+\]|[^@:\s[\]]+)(?::(\d{1,5}))?\/?$/.exec(
      hop,
    );
    if (!match)
      throw failure(
        host,
        'E_INVENTORY',
        `can not read the jump host '${printable(hop)}'`,
        'write user@host:port',
      );
    const [, user, name, port] = match;
    const address = name!.replace(/^\[(.*)\]$/, '$1');
    return {
      name: address,
      groups: [],
      vars: {},
      connection: { address, ...(user && { user }), ...(port && { port: Number(port) }) },
    };
  });
}

/**
 * A stream through a jump host to where it can reach.
 * @param seconds until it is given up
 * @throws FleetError E_UNREACHABLE or E_TIMEOUT, naming the hop
 */
export function forward(
  host: string,
  through: { client: Client; name: string },
  address: string,
  port: number,
  seconds: number,
): Promise<Duplex> {
  const { client, name } = through;
  return new Promise((resolve, reject) => {
    let settled = false;
    const fail = (code: 'E_UNREACHABLE' | 'E_TIMEOUT', text: string, hint?: string, cause?: Error) => {
      settled = true;
      clearTimeout(timer);
      reject(failure(host, code, text, hint, cause));
    };
    const timer = setTimeout(
      () => fail('E_TIMEOUT', `jump host ${name} did not reach ${address}:${port} in ${seconds} s`),
      seconds * 1000,
    );
    try {
      client.forwardOut('127.0.0.1', 0, address, port, (error, stream) => {
        if (settled) {
          stream?.destroy();
          return;
        }
        if (error) {
          const hint = 'its sshd needs AllowTcpForwarding, and must resolve and reach that address';
          fail(
            'E_UNREACHABLE',
            `jump host ${name} can not reach ${address}:${port}: ${printable(error.message)}`,
            hint,
            error,
          );
          return;
        }
        clearTimeout(timer);
        resolve(stream);
      });
    } catch (error) {
      fail('E_UNREACHABLE', `the connection to jump host ${name} was lost`, undefined, error as Error);
    }
  });
}
