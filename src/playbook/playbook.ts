import type { Path, YamlFile } from '../config/yaml.ts';
import type { SourcePosition } from '../lib/errors.ts';
import type { ResourceKind } from '../resources/kind.ts';
import type { Compiled } from './compiled.ts';
import type { Condition } from './condition.ts';
import type { Layer } from './scope.ts';

/** The resource kinds by name; src/resources/index.ts holds the real one. */
export type KindRegistry = ReadonlyMap<string, ResourceKind>;

/** A playbook that was read, checked and compiled; bindPlaybook makes declarations of it. */
export interface Playbook {
  /** as the operator gave it */
  path: string;
  /** absolute; files that tasks name are relative to it */
  folder: string;
  yaml: YamlFile;
  plays: readonly Play[];
}

export interface Play {
  name: string;
  /** its place in the file, from 0 */
  index: number;
  hosts: string;
  hostsAt: SourcePosition;
  become: boolean | undefined;
  vars: Layer;
  /** numbers of hosts and percentages such as '10%' */
  serial: readonly (number | string)[];
  maxFailPercentage: number;
  /** tasks, then handlers */
  tasks: readonly Task[];
}

export interface Task {
  path: Path;
  at: SourcePosition;
  handler: boolean;
  /** absent where the task has none: then its kind stands for it */
  name: Compiled | undefined;
  kind: ResourceKind;
  /** what stands under the kind's key */
  value: Compiled;
  conditions: readonly { condition: Condition; path: Path }[];
  loop: Compiled | undefined;
  tags: readonly string[];
  notify: readonly string[];
  become: boolean | undefined;
  vars: Layer;
}
