import { FleetError } from '../../lib/errors.ts';

/** `blkfleet inventory -i INVENTORY [-l PATTERN] [--graph | --json]`: returns an exit code. @throws FleetError */
export async function inventoryCommand(options: {
  inventory: string;
  limit?: string | undefined;
  graph?: boolean | undefined;
  json?: boolean | undefined;
}): Promise<number> {
  throw new FleetError({ code: 'E_USAGE', message: options.inventory });
}
