import type { Path, YamlFile } from '../config/yaml.ts';
import type { Diagnostic } from '../lib/errors.ts';
import type { Host } from './host.ts';

/** A group as the inventory declares it; the places where it is mentioned are merged into one. */
export interface Group {
  name: string;
  /** hosts named directly in it, in file order */
  hosts: readonly string[];
  /** groups directly below it, in file order */
  children: readonly string[];
  /** its own variables, not those of its parents */
  vars: Readonly<Record<string, unknown>>;
}

/** A checked inventory. Hosts and groups stand in file order; `all` and `ungrouped` always exist. */
export interface Inventory {
  /** as the operator gave it */
  path: string;
  hosts: ReadonlyMap<string, Host>;
  groups: ReadonlyMap<string, Group>;
  /** every host of a group and of the groups below it, in inventory order */
  members(group: string): readonly string[];
  /** the place of the value that a host's variable has; one place, one object */
  whereIs(host: string, variable: string): { yaml: YamlFile; path: Path } | undefined;
  /** worth saying, not wrong: two names for one address */
  warnings: readonly Diagnostic[];
}
