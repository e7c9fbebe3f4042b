import { homedir } from 'node:os';
import { dirname, resolve } from 'node:path';
import { readText } from '../config/read.ts';
import { type Path, readYaml, type YamlFile } from '../config/yaml.ts';
import { schemaFindings } from '../config/zod-issues.ts';
import { FleetError } from '../lib/errors.ts';
import { duplicateAddresses } from './addresses.ts';
import { iniHint, inventoryHabits } from './habits.ts';
import type { ConnectionVars, Host } from './host.ts';
import type { Group, Inventory } from './inventory.ts';
import { groupDepths, membersOf } from './precedence.ts';
import { connectionWords, inventorySchema } from './schema.ts';
import { type DraftGroup, GroupTree } from './tree.ts';

/**
 * Reads and checks an inventory file. Variables are merged as Ansible does: `all`, then groups from the outer to the
 * inner, of one depth by name, then the host's own; a later mention of a group or host adds to the earlier.
 * @throws FleetError E_FILE, E_YAML, E_SCHEMA, E_UNKNOWN_KEY or E_INVENTORY with every finding, each with its position
 */
export async function loadInventory(path: string): Promise<Inventory> {
  const file = await readYaml(path).catch(async (error: unknown) => {
    throw await iniInstead(path, error);
  });
  const parsed = inventorySchema.safeParse(file.value);
  if (!parsed.success)
    throw new FleetError(
      schemaFindings(parsed.error.issues, file, [], inventorySchema, file.value, inventoryHabits),
    );
  const tree = new GroupTree(file, parsed.data.all);
  if (tree.problems.length > 0) throw new FleetError(tree.problems);
  return build(file, tree);
}

/** A file of Ansible's INI form is no YAML at some line that is of no interest then. */
async function iniInstead(path: string, error: unknown): Promise<unknown> {
  if (!(error instanceof FleetError) || error.code !== 'E_YAML') return error;
  const text = await readText(path).catch(() => '');
  if (!/^\s*\[[A-Za-z_][\w.:-]*\]\s*(#.*)?$|^[\w.-]+\s+\w+=\S/m.test(text)) return error;
  return new FleetError({ ...error.diagnostics[0]!, message: 'this is INI, no YAML', hint: iniHint });
}

function build(file: YamlFile, tree: GroupTree): Inventory {
  const groups = new Map<string, Group>();
  for (const draft of tree.groups.values()) groups.set(draft.name, finish(draft));
  const order = [...tree.hosts.keys()];
  const depths = groupDepths(groups);
  const members = membersOf(groups, order);
  const groupsOf = new Map<string, Group[]>(order.map((name) => [name, []]));
  for (const name of groups.keys())
    for (const host of members(name)) groupsOf.get(host)!.push(groups.get(name)!);
  const hosts = new Map<string, Host>();
  for (const [name, own] of tree.hosts) {
    const merged = groupsOf
      .get(name)!
      .sort((a, b) => depths.get(a.name)! - depths.get(b.name)! || byName(a.name, b.name));
    const vars: Record<string, unknown> = Object.assign({}, ...merged.map((group) => group.vars), own.vars);
    hosts.set(name, {
      name,
      groups: merged.map((group) => group.name),
      connection: connectionOf(vars, file.path),
      vars,
    });
  }
  refuseJumpCircles(file, tree, hosts);
  const duplicates = duplicateAddresses(hosts.values()).map(([first, second, address]) =>
    file.finding(
      'E_INVENTORY',
      file.positionOf(tree.hosts.get(second)!.path, 'key'),
      `${second} and ${first} are the same address (${address}): it would be worked on twice`,
    ),
  );
  const whereIs = (host: string, variable: string) => {
    const path = placeOf(tree, host, hosts.get(host)?.groups ?? [], variable);
    return path === undefined ? undefined : { yaml: file, path };
  };
  return { path: file.path, hosts, groups, members, whereIs, warnings: [...tree.warnings, ...duplicates] };
}

/** @throws FleetError for hosts that would be reached through themselves */
function refuseJumpCircles(file: YamlFile, tree: GroupTree, hosts: ReadonlyMap<string, Host>): void {
  const findings = [...hosts.values()].flatMap((host) => {
    const circle = jumpCircle(host, hosts);
    // Who only leads to a circle is not the one to mend.
    if (circle?.at(-1) !== host.name) return [];
    const at = file.positionOf(placeOf(tree, host.name, host.groups, 'jump') ?? [], 'key');
    const message = `jump hosts go round in a circle: ${circle.join(' → ')}`;
    const hint = `${circle.at(-1)} needs a way of its own; where a group sets jump, keep that host out of it`;
    return [file.finding('E_INVENTORY', at, message, hint)];
  });
  if (findings.length > 0) throw new FleetError(findings.slice(0, 20));
}

/** The first hop is reached by its own jump, each later one through the hop before it. */
function jumpCircle(host: Host, hosts: ReadonlyMap<string, Host>): string[] | undefined {
  const chain = [host.name];
  for (let at: Host | undefined = host; at?.connection.jump !== undefined; ) {
    const hops: string[] = at.connection.jump.split(',').map((hop) => hop.trim());
    const again = hops.find((hop) => chain.includes(hop));
    if (again !== undefined) return [...chain, again];
    chain.push(hops[0]!);
    at = hosts.get(hops[0]!);
  }
  return undefined;
}

/** Where the value stands that wins for a host: its own, else that of the innermost of its groups. */
function placeOf(
  tree: GroupTree,
  host: string,
  groups: readonly string[],
  variable: string,
): Path | undefined {
  const inner = [...groups].reverse().map((group) => tree.groups.get(group));
  const owner = [tree.hosts.get(host), ...inner].find((one) => one?.places.has(variable));
  return owner?.places.get(variable);
}

function finish(draft: DraftGroup): Group {
  return { name: draft.name, hosts: [...draft.hosts], children: [...draft.children], vars: draft.vars };
}

function connectionOf(vars: Readonly<Record<string, unknown>>, inventory: string): ConnectionVars {
  const connection: Record<string, unknown> = {};
  for (const word of connectionWords) if (vars[word] !== undefined) connection[word] = vars[word];
  if (typeof connection.identity_file === 'string') {
    const key = connection.identity_file.replace(/^~(?=\/|$)/, () => homedir());
    connection.identity_file = resolve(dirname(inventory), key);
  }
  return connection;
}

function byName(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
