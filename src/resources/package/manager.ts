import type { Step } from '../kind.ts';
import type { PackageDeclaration } from './schema.ts';

/** A declaration with its defaults. */
export interface PackageRequest {
  names: readonly string[];
  present: boolean;
  recommends: boolean;
}

/** `broken`: unpacked or half configured. */
export type PackageStatus = 'installed' | 'absent' | 'broken';

/** What a host says about the packages of one declaration. */
export interface PackageState {
  /** false where the manager did not answer at all */
  answered: boolean;
  packages: ReadonlyMap<string, { status: PackageStatus; version: string | null }>;
  /** versions that would be installed, for missing packages as far as known; null: the manager knows none */
  candidates: ReadonlyMap<string, string | null>;
  /** the manager has no lists of packages yet, so that candidates mean nothing */
  listsEmpty: boolean;
  /** all that a removal would take away, the declared ones included */
  removed: readonly string[];
}

/**
 * A package manager: sh text and its parser, no decisions. A new one is a file beside apt.ts and a line in index.ts; what
 * the facts call it is `id`.
 */
export interface PackageManager {
  readonly id: 'apt';
  /** a fragment that answers all requests in frames, as ResourceKind.probe; it only reads */
  probe(requests: readonly PackageRequest[]): string;
  parse(output: Buffer, request: PackageRequest): PackageState;
  /** installs these, takes nothing away, and looks after that they are there */
  install(names: readonly string[], request: PackageRequest, state: PackageState): Step;
  /** removes these; `removed` is all that may go with them */
  remove(names: readonly string[], removed: readonly string[]): Step;
  /** what to do where the manager's own state is broken */
  readonly repairHint: string;
}

export function toRequest(declaration: PackageDeclaration): PackageRequest {
  const names = declaration.names ?? [declaration.name!];
  return {
    names: [...new Set(names)],
    present: declaration.state !== 'absent',
    recommends: declaration.recommends ?? false,
  };
}
