import type { YamlFile } from '../config/yaml.ts';
import type { SourcePosition } from '../lib/errors.ts';
import type { ResourceKind } from '../resources/kind.ts';
import type { AssetStore } from './assets.ts';
import type { Compiled } from './compiled.ts';
import type { Condition } from './condition.ts';
import type { Findings } from './findings.ts';
import type { Instance } from './instances.ts';
import type { Origin } from './problem.ts';
import type { Layer } from './scope.ts';
import type { TaskBody } from './task-body.ts';

/** The resource kinds by name; src/resources/index.ts holds the real one. */
export type KindRegistry = ReadonlyMap<string, ResourceKind>;

/** A task as it was written, with everything compiled that hosts fill in. */
export interface CompiledTask {
  handler: boolean;
  at: SourcePosition;
  /** as written, for findings */
  label: string;
  name: Compiled;
  when: Condition | undefined;
  loop: Compiled | undefined;
  loopOrigin: Origin | undefined;
  tags: readonly string[];
  notify: readonly string[];
  become: boolean | undefined;
  vars: Layer;
  body: TaskBody;
  /** what it declares where that is the same for every host; undefined where it needs a host's variables */
  constant?: readonly Instance[];
}

export interface CompiledPlay {
  name: string;
  index: number;
  /** the pattern, and where it stands */
  hosts: string;
  hostsAt: SourcePosition;
  become: boolean | undefined;
  vars: Layer;
  /** sizes as written: hosts, or a share such as "10%" */
  serial: readonly (number | string)[];
  maxFailPercentage: number;
  /** tasks, then handlers */
  tasks: readonly CompiledTask[];
}

/** A playbook that was read, checked and compiled; bindPlaybook makes declarations of it. */
export interface Playbook {
  /** as the operator gave it */
  path: string;
  /** absolute; files that tasks name are relative to it */
  folder: string;
  file: YamlFile;
  plays: readonly CompiledPlay[];
  assets: AssetStore;
  /** allowed, and most likely not meant; binding adds what it finds */
  warnings: Findings;
}
