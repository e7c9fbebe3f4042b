import type { Host } from '../inventory/host.ts';
import type { Inventory } from '../inventory/inventory.ts';
import { type Compiled, compileString, literal } from './compiled.ts';
import { type Layer, Scope } from './scope.ts';
import { isTemplate } from './template.ts';

/**
 * The variables that the inventory gives to each host, as scopes: its own names first (inventory_hostname, group_names,
 * groups), then what its groups and the host define.
 * @param report gets a template in the inventory that makes no sense
 */
export function hostScopes(
  inventory: Inventory,
  report: (problem: Error, host: string) => void,
): (host: Host) => Scope {
  const groups: Record<string, readonly string[]> = {};
  for (const name of inventory.groups.keys()) groups[name] = inventory.members(name);
  const allGroups = literal(groups);
  const compiled = new Map<string, Compiled>();
  const compile = (value: unknown, host: string): Compiled => {
    if (typeof value === 'string') {
      if (!isTemplate(value)) return literal(value);
      let known = compiled.get(value);
      if (known === undefined) {
        known = compileString(value, undefined, (problem) => report(problem, host));
        compiled.set(value, known);
      }
      return known;
    }
    if (value === null || typeof value !== 'object') return literal(value);
    const entries = Object.entries(value).map(([key, item]) => [key, compile(item, host)] as const);
    if (entries.every(([, item]) => item.literal)) return literal(value);
    if (Array.isArray(value))
      return { literal: false, evaluate: (variables) => entries.map(([, item]) => item.evaluate(variables)) };
    return {
      literal: false,
      evaluate: (variables) =>
        Object.fromEntries(entries.map(([key, item]) => [key, item.evaluate(variables)])),
    };
  };
  return (host) => {
    const own: Layer = new Map([
      ['inventory_hostname', literal(host.name)],
      ['group_names', literal(host.groups)],
      ['groups', allGroups],
    ]);
    const vars: Layer = new Map(
      Object.entries(host.vars).map(([name, value]) => [name, compile(value, host.name)]),
    );
    return new Scope([own, vars], true);
  };
}
