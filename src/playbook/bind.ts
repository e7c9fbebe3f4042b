import type { Inventory } from '../inventory/inventory.ts';
import { FleetError } from '../lib/errors.ts';
import type { BoundPlay } from './declaration.ts';
import type { Playbook } from './playbook.ts';

export interface BindOptions {
  /** -l: only hosts that this pattern selects too */
  limit?: string | undefined;
  /** -t: only tasks with one of these tags; `always` tasks stay, `never` tasks need their tag named */
  tags?: readonly string[] | undefined;
}

/** Binds a playbook to hosts. @throws FleetError with every finding of every host, the same one said once */
export function bindPlaybook(
  playbook: Playbook,
  _inventory: Inventory,
  _options: BindOptions = {},
): BoundPlay[] {
  throw new FleetError({ code: 'E_SCHEMA', message: `can not bind ${playbook.path} yet` });
}
