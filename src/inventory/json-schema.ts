import { z } from 'zod';
import { inventorySchema } from './schema.ts';

/** JSON Schema of an inventory, for editors. */
export function inventoryJsonSchema(): object {
  const schema = z.toJSONSchema(inventorySchema, { io: 'input', unrepresentable: 'any' });
  return { title: 'blkfleet inventory', ...schema };
}
