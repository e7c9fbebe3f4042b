import { z } from 'zod';

/** The parts of a JSON Schema that tables tell. */
export interface FieldSchema {
  type?: string;
  enum?: readonly unknown[];
  const?: unknown;
  anyOf?: readonly FieldSchema[];
  oneOf?: readonly FieldSchema[];
  items?: FieldSchema;
  properties?: Readonly<Record<string, FieldSchema>>;
  additionalProperties?: FieldSchema | boolean;
  required?: readonly string[];
  minimum?: number;
  maximum?: number;
  default?: unknown;
  description?: string;
  $ref?: string;
  $defs?: Readonly<Record<string, FieldSchema>>;
}

/** JSON Schema of what is written, before defaults and transforms. */
export function fieldsOf(schema: z.ZodType): FieldSchema {
  const made = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as FieldSchema;
  const [name] = /[^/]+$/.exec(made.$ref ?? '') ?? [];
  return name === undefined ? made : made.$defs![name]!;
}

/**
 * A Markdown table of the keys of a map: key, type, default, meaning.
 * @param defaults what holds without a key where the schema does not say it
 */
export function fieldTable(
  schema: FieldSchema,
  options: { without?: ReadonlySet<string>; defaults?: Readonly<Record<string, string>> } = {},
): string {
  const rows = Object.entries(schema.properties ?? {})
    .filter(([key]) => !options.without?.has(key))
    .map(([key, field]) => [
      `\`${key}\``,
      typeText(field),
      schema.required?.includes(key) ? 'required' : (options.defaults?.[key] ?? defaultText(field.default)),
      field.description ?? '',
    ]);
  return table(['key', 'type', 'default', 'meaning'], rows);
}

/** A Markdown table; what would end a cell is escaped. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) =>
    `| ${cells.map((text) => text.replaceAll('|', '\\|').replaceAll('\n', '⏎')).join(' | ')} |`;
  return [line(head), `|${'---|'.repeat(head.length)}`, ...rows.map(line)].join('\n');
}

/** `text`, `whole number (1 to 9)`, `list of text`, `none`, `all` or `running`. */
export function typeText(schema: FieldSchema): string {
  const branches = schema.anyOf ?? schema.oneOf;
  // What may be empty as well is no news.
  if (branches !== undefined)
    return either([...new Set(branches.filter(({ type }) => type !== 'null').map(typeText))]);
  if (schema.const !== undefined) return `\`${schema.const}\``;
  if (schema.enum !== undefined) return either(schema.enum.map((word) => `\`${word}\``));
  switch (schema.type) {
    case 'string':
      return 'text';
    case 'boolean':
      return '`true` or `false`';
    case 'integer':
      return `whole number${range(schema)}`;
    case 'number':
      return `number${range(schema)}`;
    case 'array':
      return `list of ${grouped(schema.items)}`;
    case 'object':
      return typeof schema.additionalProperties === 'object'
        ? `map of ${grouped(schema.additionalProperties)}`
        : 'map';
    default:
      return schema.$ref === undefined ? 'any value' : schema.$ref.replace(/^.*\//, '');
  }
}

function grouped(schema: FieldSchema = {}): string {
  const text = typeText(schema);
  return / or |^map of/.test(text) ? `(${text})` : text;
}

function either(words: readonly string[]): string {
  if (words.length <= 2) return words.join(' or ');
  return `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`;
}

/** JSON Schema bounds every whole number by what a double holds. */
function range({ minimum, maximum }: FieldSchema): string {
  const low = minimum !== undefined && minimum > Number.MIN_SAFE_INTEGER ? minimum : undefined;
  const high = maximum !== undefined && maximum < Number.MAX_SAFE_INTEGER ? maximum : undefined;
  if (low !== undefined && high !== undefined) return ` (${low} to ${high})`;
  return low !== undefined ? ` (at least ${low})` : high !== undefined ? ` (at most ${high})` : '';
}

function defaultText(value: unknown): string {
  return value === undefined ? '' : `\`${typeof value === 'string' ? value : JSON.stringify(value)}\``;
}
