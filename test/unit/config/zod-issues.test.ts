import { expect, it } from 'vitest';
import { z } from 'zod';
import { parseYaml } from '../../../src/config/yaml.ts';
import { pathText, schemaFindings } from '../../../src/config/zod-issues.ts';

const schema = z.strictObject({
  name: z.string(),
  state: z.enum(['present', 'absent']).optional(),
  count: z.int().min(1).max(9).optional(),
  on: z.boolean().optional(),
  list: z.array(z.string()).min(1).optional(),
  one: z.union([z.string(), z.array(z.strictObject({ key: z.string() }))]).optional(),
  inner: z.strictObject({ deep: z.string() }).optional(),
});

function findings(text: string) {
  const file = parseYaml('x.yaml', text);
  const parsed = schema.safeParse(file.value);
  return parsed.success
    ? []
    : schemaFindings(parsed.error.issues, file, [], schema, file.value, { apt: 'package' });
}

it.for<[string, string, string | undefined]>([
  ['name: 1', 'E_SCHEMA 1:7', 'quote it: "1"'],
  ['name: 0644', 'E_SCHEMA 1:7', 'quote it: "0644"'],
  ['{}', 'E_SCHEMA 1:1', undefined],
  ['name: a\nnaem: b', 'E_UNKNOWN_KEY 2:1', 'did you mean "name"?'],
  ['name: a\napt: b', 'E_UNKNOWN_KEY 2:1', 'package'],
  ['name: a\ninner: { dep: x, deep: y }', 'E_UNKNOWN_KEY 2:10', 'did you mean "deep"?'],
  ['name: a\nstate: presnt', 'E_SCHEMA 2:8', 'did you mean "present"?'],
  ['name: a\ncount: 10', 'E_SCHEMA 2:8', undefined],
  ['name: a\ncount: "3"', 'E_SCHEMA 2:8', 'write it without quotes: 3'],
  ['name: a\non: yes', 'E_SCHEMA 2:5', 'write true'],
  ['name: a\non: off', 'E_SCHEMA 2:5', 'write false'],
  ['name: a\nlist: x', 'E_SCHEMA 2:7', 'write a list: [x]'],
  ['name: a\nlist: echo hi', 'E_SCHEMA 2:7', 'write a list: [echo, hi]'],
  ['name: a\nlist: []', 'E_SCHEMA 2:7', undefined],
  ['name: a\nlist: [x, 2]', 'E_SCHEMA 2:11', 'quote it: "2"'],
  ['name: a\none: [{ kex: x, key: y }]', 'E_UNKNOWN_KEY 2:9', 'did you mean "key"?'],
  ['name: a\none: 3', 'E_SCHEMA 2:6', undefined],
])('%s', ([text, where, hint]) => {
  const found = findings(text);
  expect(found.map(({ code, at }) => `${code} ${at!.line}:${at!.col}`)).toEqual([where]);
  expect(found[0]!.hint).toBe(hint);
  expect(found[0]!.excerpt).toBe(text.split('\n')[found[0]!.at!.line - 1]);
});

it('a path reads as people write it', () => {
  expect(pathText(['tasks', 2, 'file', 'mode'])).toBe('tasks[2].file.mode');
});
