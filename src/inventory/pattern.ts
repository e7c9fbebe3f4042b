import { FleetError, type SourcePosition } from '../lib/errors.ts';
import type { Inventory } from './inventory.ts';

/** Hosts that a pattern selects, in inventory order. @throws FleetError E_PATTERN */
export function selectHosts(_inventory: Inventory, pattern: string, at?: SourcePosition): readonly string[] {
  throw new FleetError({ code: 'E_PATTERN', message: pattern, at });
}
