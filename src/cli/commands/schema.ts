import { FleetError } from '../../lib/errors.ts';
import { didYouMean } from '../../lib/nearest.ts';
import { EXIT } from '../exit-code.ts';

const subjects = ['playbook', 'inventory', 'reference'] as const;

/** `blkfleet schema playbook|inventory|reference`: prints JSON Schema, or docs/playbooks.md. @throws FleetError E_USAGE */
export async function schemaCommand(what: string): Promise<number> {
  const subject = subjects.find((word) => word === what);
  if (subject === undefined)
    throw new FleetError({
      code: 'E_USAGE',
      message: `there is no schema of "${what}"`,
      hint: didYouMean(what, subjects) ?? `schemas: ${subjects.join(', ')}`,
    });
  process.stdout.write(
    subject === 'reference' ? await reference() : `${JSON.stringify(await schemaOf(subject), null, 2)}\n`,
  );
  return EXIT.ok;
}

async function reference(): Promise<string> {
  const { referencePage } = await import('../../reference/page.ts');
  const { kinds } = await import('../../resources/index.ts');
  return referencePage(kinds);
}

async function schemaOf(subject: 'playbook' | 'inventory'): Promise<object> {
  if (subject === 'inventory') return (await import('../../inventory/json-schema.ts')).inventoryJsonSchema();
  const { playbookJsonSchema } = await import('../../playbook/json-schema.ts');
  const { kinds } = await import('../../resources/index.ts');
  return playbookJsonSchema(kinds);
}
