import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { connectionWords } from '../../../src/inventory/schema.ts';
import { celFunctions } from '../../../src/playbook/cel.ts';
import { facts } from '../../../src/playbook/facts-schema.ts';
import { liquid } from '../../../src/playbook/liquid.ts';
import { readPlaybook } from '../../../src/playbook/load.ts';
import { handlerWords, taskWords } from '../../../src/playbook/schema.ts';
import { conditionExamples } from '../../../src/reference/examples.ts';
import { type FieldSchema, fieldsOf, table, typeText } from '../../../src/reference/fields.ts';
import { referencePage } from '../../../src/reference/page.ts';
import { kinds } from '../../../src/resources/index.ts';

const root = resolve(import.meta.dirname, '../../..');
const page = referencePage(kinds);

it('docs/playbooks.md is what is made of the code now; `npm run build` writes it', () => {
  expect(readFileSync(join(root, 'docs/playbooks.md'), 'utf8')).toBe(page);
});

describe('the page tells', () => {
  const row = (key: string) => new RegExp(`^\\| \`${key.replaceAll('.', '\\.')}\` \\|`, 'm');
  it('every word of plays, tasks, handlers and connections', () => {
    for (const word of [...taskWords, ...handlerWords, ...connectionWords])
      expect(page, word).toMatch(row(word));
  });
  it('every key of every kind, in its own section', () => {
    for (const { kind, schema } of kinds.values()) {
      const section = page.split(`\n## ${kind}\n`)[1]!.split('\n## ')[0]!;
      for (const key of Object.keys(fieldsOf(schema).properties!))
        expect(section, `${kind}.${key}`).toMatch(row(key));
    }
  });
  it('every fact, function, filter and tag', () => {
    for (const { path } of facts) expect(page, path).toMatch(row(`facts.${path}`));
    const { filters, tags } = liquid();
    for (const name of [...Object.keys(celFunctions), ...Object.keys(filters), ...Object.keys(tags)])
      expect(page, name).toMatch(row(name));
  });
  it('functions that all stand in an example, so that each of them works', () => {
    const text = conditionExamples.map(([condition]) => condition).join('\n');
    for (const name of Object.keys(celFunctions)) expect(text).toMatch(new RegExp(`\\b${name}\\(`));
  });
});

it('the example of each kind is a right task of that kind', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'blkfleet-reference-'));
  try {
    mkdirSync(join(folder, 'playbooks'));
    for (const name of ['dkms', 'kmod']) symlinkSync(join(root, name), join(folder, name));
    for (const { kind, example } of kinds.values()) {
      const path = join(folder, 'playbooks', `${kind}.yaml`);
      writeFileSync(path, `- hosts: all\n  tasks:\n${example.replaceAll(/^(?=.)/gm, '    ')}`);
      const { playbook, findings } = await readPlaybook(path);
      expect(findings, kind).toEqual([]);
      expect(playbook.warnings.list()).toEqual([]);
      expect(playbook.plays[0]!.tasks.map((task) => task.body.kind.kind)).toEqual([kind]);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});

it.for<[FieldSchema, string]>([
  [{ type: 'string' }, 'text'],
  [{ type: 'integer', minimum: 1, maximum: 9 }, 'whole number (1 to 9)'],
  [{ type: 'integer', minimum: 1, maximum: Number.MAX_SAFE_INTEGER }, 'whole number (at least 1)'],
  [{ anyOf: [{ type: 'boolean' }, { type: 'null' }] }, '`true` or `false`'],
  [{ enum: ['a', 'b', 'c'] }, '`a`, `b` or `c`'],
  [{ type: 'array', items: { anyOf: [{ type: 'string' }, { type: 'number' }] } }, 'list of (text or number)'],
  [{ type: 'object', additionalProperties: { type: 'string' } }, 'map of text'],
  [{ type: 'array', items: { $ref: '#/$defs/task' } }, 'list of task'],
  [{}, 'any value'],
])('%j is %s', ([schema, text]) => {
  expect(typeText(schema)).toBe(text);
});

it('a cell can not end its table', () => {
  expect(table(['a'], [['x | y\nz']])).toBe('| a |\n|---|\n| x \\| y⏎z |');
});
