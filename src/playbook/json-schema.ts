import { z } from 'zod';
import type { KindRegistry } from './playbook.ts';
import { playbookSchema } from './schema.ts';

type JsonSchema = { [key: string]: unknown };

/** JSON Schema of a playbook, for editors: each kind is a property of a task, and a template may stand for any value. */
export function playbookJsonSchema(kinds: KindRegistry): object {
  const schema = z.toJSONSchema(playbookSchema(kinds), { io: 'input', unrepresentable: 'any' }) as JsonSchema;
  const definitions = schema.$defs as Record<string, JsonSchema>;
  for (const name of ['task', 'handler']) {
    const task = definitions[name]!;
    const properties = task.properties as Record<string, JsonSchema>;
    for (const kind of kinds.keys()) properties[kind] = withTemplatesBelow(properties[kind]!);
    // Editors say "one of" here; more than one kind in a task is no less wrong than none.
    task.oneOf = [...kinds.keys()].map((kind) => ({ required: [kind] }));
  }
  return { title: 'blkfleet playbook', ...schema };
}

const template: JsonSchema = { type: 'string', pattern: '\\{\\{|\\{%', description: 'A template.' };

/** The values below a kind's key may be templates; the map itself is written out. */
function withTemplatesBelow(schema: JsonSchema): JsonSchema {
  const changed: JsonSchema = { ...schema };
  if (isSchema(schema.properties))
    changed.properties = Object.fromEntries(
      Object.entries(schema.properties).map(([key, value]) => [key, orTemplate(value as JsonSchema)]),
    );
  if (isSchema(schema.additionalProperties))
    changed.additionalProperties = orTemplate(schema.additionalProperties);
  if (isSchema(schema.items)) changed.items = orTemplate(schema.items);
  for (const key of ['anyOf', 'oneOf', 'allOf'])
    if (Array.isArray(schema[key]))
      changed[key] = schema[key].map((one) => withTemplatesBelow(one as JsonSchema));
  return changed;
}

function orTemplate(schema: JsonSchema): JsonSchema {
  const { description, default: fallback, ...rest } = withTemplatesBelow(schema);
  const plainText =
    rest.type === 'string' && Object.keys(rest).every((key) => ['type', 'minLength'].includes(key));
  const checked = plainText ? rest : { anyOf: [rest, template] };
  return {
    ...checked,
    ...(description === undefined ? {} : { description }),
    ...(fallback === undefined ? {} : { default: fallback }),
  };
}

function isSchema(value: unknown): value is JsonSchema {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
