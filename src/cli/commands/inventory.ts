import { randomBytes } from 'node:crypto';
import { graphLines } from '../../inventory/graph.ts';
import type { Host } from '../../inventory/host.ts';
import { loadInventory } from '../../inventory/load.ts';
import { selectHosts } from '../../inventory/pattern.ts';
import { FleetError } from '../../lib/errors.ts';
import { printable } from '../../lib/terminal.ts';
import { jsonText } from '../../report/json.ts';
import { EXIT } from '../exit-code.ts';
import { warn } from './validate.ts';

export interface InventoryFlags {
  inventory: string;
  limit?: string | undefined;
  graph?: boolean | undefined;
  json?: boolean | undefined;
}

/** `blkfleet inventory -i INVENTORY [-l PATTERN] [--graph | --json]`: returns an exit code. @throws FleetError */
export async function inventoryCommand(flags: InventoryFlags): Promise<number> {
  if (flags.graph && flags.json)
    throw new FleetError({ code: 'E_USAGE', message: '--graph and --json exclude each other' });
  const started = new Date();
  const inventory = await loadInventory(flags.inventory);
  const chosen = new Set(selectHosts(inventory, flags.limit ?? 'all'));
  const hosts = [...inventory.hosts.values()].filter((host) => chosen.has(host.name));
  warn(inventory.warnings);
  if (flags.json) process.stdout.write(jsonText(document(hosts, started)));
  else process.stdout.write(`${(flags.graph ? graphLines(inventory, chosen) : table(hosts)).join('\n')}\n`);
  return EXIT.ok;
}

/** The shape that all commands share; variables are those that templates see, as they were written. */
function document(hosts: readonly Host[], started: Date): object {
  return {
    command: 'inventory',
    run: {
      id: `${started.getTime().toString(36)}-${randomBytes(4).toString('hex')}`,
      started: started.toISOString(),
      finished: new Date().toISOString(),
    },
    hosts: hosts.map(({ name, groups, vars }) => ({
      name,
      status: 'ok',
      changes: 0,
      tasks: [],
      error: null,
      groups,
      vars,
    })),
    summary: { hosts: hosts.length, ok: hosts.length, changed: 0, failed: 0, unreachable: 0, pending: 0 },
  };
}

/** One line a host: its name, how it is reached where that is not by its name alone, and its groups. */
function table(hosts: readonly Host[]): string[] {
  const rows = hosts.map((host) => [
    host.name,
    reachedBy(host),
    host.groups.filter((group) => group !== 'all').join(', '),
  ]);
  const widths = [0, 1].map((column) => Math.max(0, ...rows.map((row) => row[column]!.length)));
  return rows.map((row) =>
    row
      .map((cell, column) => printable(cell).padEnd(widths[column] ?? 0))
      .filter((_, column) => widths[column] !== 0)
      .join('  ')
      .trimEnd(),
  );
}

function reachedBy({ name, connection }: Host): string {
  const { address, port, user, jump } = connection;
  const place = address ?? (user !== undefined || port !== undefined ? name : '');
  const bracketed = port !== undefined && place.includes(':') ? `[${place}]` : place;
  const target = `${user === undefined ? '' : `${user}@`}${bracketed}${port === undefined ? '' : `:${port}`}`;
  return jump === undefined ? target : `${target} via ${jump}`.trim();
}
