import { expect, it } from 'vitest';
import { inventoryJsonSchema } from '../../../src/inventory/json-schema.ts';
import { playbookJsonSchema } from '../../../src/playbook/json-schema.ts';
import { kinds } from '../../../src/resources/index.ts';

type Schema = { [key: string]: Schema } & { description?: string; required?: string[]; oneOf?: Schema[] };
const playbook = playbookJsonSchema(kinds) as Schema;
const { task, handler, play } = playbook.$defs as unknown as Record<string, Schema>;

it('has each kind as a described property of tasks and handlers, of which one must stand', () => {
  for (const one of [task!, handler!]) {
    for (const kind of kinds.values())
      expect(one.properties![kind.kind]).toMatchObject({ description: kind.summary });
    expect(one.oneOf!.map(({ required }) => required![0])).toEqual([...kinds.keys()]);
    expect(one).toMatchObject({ additionalProperties: false });
  }
});

it('a template may stand for a value that is no free text', () => {
  const { properties } = task!.properties!.command as unknown as Schema;
  expect(JSON.stringify(properties!.timeout)).toContain('{%');
  expect(JSON.stringify(properties!.argv)).toContain('{%');
});

it('every key that can be written has a description', () => {
  for (const one of [task!, handler!, play!])
    for (const [key, value] of Object.entries(one.properties!))
      expect((value as Schema).description, key).toBeTruthy();
  for (const kind of kinds.values())
    for (const [key, value] of Object.entries((task!.properties![kind.kind] as Schema).properties ?? {}))
      expect((value as Schema).description, `${kind.kind}.${key}`).toBeTruthy();
});

it('an inventory is recursive in its groups', () => {
  const inventory = inventoryJsonSchema() as Schema;
  expect(JSON.stringify(inventory.$defs)).toContain('"$ref":"#/$defs/group"');
});
