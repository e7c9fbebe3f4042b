import type { Host } from '../inventory/host.ts';
import type { Inventory } from '../inventory/inventory.ts';
import { type Compiled, compileValue, literal } from './compiled.ts';
import type { Problem } from './problem.ts';
import type { Layer } from './scope.ts';
import { isTemplate } from './template.ts';

/** Variables of the inventory's hosts as layers; what a group gives to many hosts is compiled once. */
export class HostVariables {
  readonly #inventory: Inventory;
  readonly #report: (problem: Problem) => void;
  readonly #compiled = new WeakMap<object, Compiled>();
  readonly #groups: Compiled;

  /** @param report gets templates in the inventory that can not be compiled */
  constructor(inventory: Inventory, report: (problem: Problem) => void) {
    this.#inventory = inventory;
    this.#report = report;
    this.#groups = literal(
      Object.fromEntries([...inventory.groups.keys()].map((group) => [group, inventory.members(group)])),
    );
  }

  layer(host: Host): Layer {
    const layer = new Map<string, Compiled>();
    for (const [name, value] of Object.entries(host.vars)) layer.set(name, this.#compile(host, name, value));
    layer.set('inventory_hostname', literal(host.name));
    layer.set('group_names', literal(host.groups.filter((group) => group !== 'all')));
    layer.set('groups', this.#groups);
    return layer;
  }

  #compile(host: Host, name: string, value: unknown): Compiled {
    if (typeof value === 'string' ? !isTemplate(value) : value === null || typeof value !== 'object')
      return literal(value);
    const place = this.#inventory.whereIs(host.name, name);
    if (place === undefined) return literal(value);
    let compiled = this.#compiled.get(place.path);
    if (compiled === undefined) {
      compiled = compileValue(value, place.yaml, place.path, this.#report);
      this.#compiled.set(place.path, compiled);
    }
    return compiled;
  }
}
