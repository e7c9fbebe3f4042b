import { FleetError } from '../../lib/errors.ts';

/** `blkfleet schema playbook|inventory`: prints JSON Schema, returns an exit code. @throws FleetError E_USAGE */
export async function schemaCommand(what: string): Promise<number> {
  throw new FleetError({ code: 'E_USAGE', message: what });
}
