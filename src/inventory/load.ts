import { FleetError } from '../lib/errors.ts';
import type { Inventory } from './inventory.ts';

/** Reads and checks an inventory file. @throws FleetError with every finding, positioned. */
export async function loadInventory(path: string): Promise<Inventory> {
  throw new FleetError({ code: 'E_INVENTORY', message: `can not read ${path} yet` });
}
