import type { Diagnostic } from '../lib/errors.ts';
import type { ResourceKind } from '../resources/kind.ts';

/** The resource kinds by name; src/resources/index.ts holds the real one. */
export type KindRegistry = ReadonlyMap<string, ResourceKind>;

/** A playbook that was read, checked and compiled; bindPlaybook makes declarations of it. */
export interface Playbook {
  /** as the operator gave it */
  path: string;
  /** absolute; files that tasks name are relative to it */
  folder: string;
  plays: readonly { name: string; index: number; hosts: string }[];
  warnings: readonly Diagnostic[];
}
