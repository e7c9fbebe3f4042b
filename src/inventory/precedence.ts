import type { Group } from './inventory.ts';

/** Longest way from `all` to each group; the graph has no cycle. Deeper groups win over outer ones. */
export function groupDepths(groups: ReadonlyMap<string, Group>): ReadonlyMap<string, number> {
  const parents = new Map<string, string[]>();
  for (const group of groups.values())
    for (const child of group.children) parents.set(child, [...(parents.get(child) ?? []), group.name]);
  const depths = new Map<string, number>();
  const depth = (name: string): number => {
    const known = depths.get(name);
    if (known !== undefined) return known;
    const value = Math.max(-1, ...(parents.get(name) ?? []).map(depth)) + 1;
    depths.set(name, value);
    return value;
  };
  for (const name of groups.keys()) depth(name);
  return depths;
}

/** Answers which hosts a group holds, itself and below, in inventory order; each answer is computed once. */
export function membersOf(
  groups: ReadonlyMap<string, Group>,
  order: readonly string[],
): (group: string) => readonly string[] {
  const cache = new Map<string, readonly string[]>();
  const collect = (name: string, into: Set<string>, seen: Set<string>) => {
    if (seen.has(name)) return;
    seen.add(name);
    const group = groups.get(name);
    for (const host of group?.hosts ?? []) into.add(host);
    for (const child of group?.children ?? []) collect(child, into, seen);
  };
  return (name) => {
    const known = cache.get(name);
    if (known !== undefined) return known;
    const hosts = new Set<string>();
    collect(name, hosts, new Set());
    const list = order.filter((host) => hosts.has(host));
    cache.set(name, list);
    return list;
  };
}
