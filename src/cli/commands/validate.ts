import { FleetError } from '../../lib/errors.ts';

/** `blkfleet validate PLAYBOOK… [-i INVENTORY]`: returns an exit code. @throws FleetError with every finding */
export async function validateCommand(
  playbooks: readonly string[],
  _options: { inventory?: string | undefined },
): Promise<number> {
  throw new FleetError({ code: 'E_USAGE', message: playbooks.join() });
}
