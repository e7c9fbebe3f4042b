import type { Host } from './host.ts';

/** Pairs of host names that share address and port (22 where none is given), with that address, in inventory order. */
export function duplicateAddresses(
  hosts: Iterable<Host>,
): [first: string, second: string, address: string][] {
  const seen = new Map<string, string>();
  const pairs: [string, string, string][] = [];
  for (const host of hosts) {
    const address = (host.connection.address ?? host.name).toLowerCase();
    const key = `${address} port ${host.connection.port ?? 22} ${host.connection.jump ?? ''}`.trim();
    const first = seen.get(key);
    if (first === undefined) seen.set(key, host.name);
    else pairs.push([first, host.name, address]);
  }
  return pairs;
}
