import type { z } from 'zod';
import type { Diagnostic } from '../lib/errors.ts';
import { type Habits, habitHint } from '../lib/habits.ts';
import { didYouMean } from '../lib/nearest.ts';
import type { Path, YamlFile } from './yaml.ts';

type Issue = z.core.$ZodIssue;

/** Most issues of one check that become findings: each is searched for in the file. */
const maxIssues = 200;

/**
 * Findings of a schema at their places in the file.
 * @param base where the checked value stands in the file; issue paths are relative to it
 * @param schema what was checked against, to name the keys that would have been right
 * @param value what was checked, to show what was found
 * @param habits what to write instead of what people write out of habit
 */
export function schemaFindings(
  issues: readonly Issue[],
  file: YamlFile,
  base: Path,
  schema: z.core.$ZodType,
  value: unknown,
  habits: Habits = {},
): Diagnostic[] {
  return issues
    .slice(0, maxIssues)
    .flatMap((issue) => findingsOf(narrow(issue), file, base, schema, value, habits));
}

function findingsOf(
  issue: Issue,
  file: YamlFile,
  base: Path,
  schema: z.core.$ZodType,
  root: unknown,
  habits: Habits,
): Diagnostic[] {
  const inner = issue.path.filter((step) => typeof step !== 'symbol');
  const path = [...base, ...inner];
  const value = valueAt(root, inner);
  if (issue.code === 'unrecognized_keys') {
    const valid = keysAt(schema, inner);
    return issue.keys.map((key) =>
      file.finding(
        'E_UNKNOWN_KEY',
        file.positionOf([...path, key], 'key'),
        `unknown key "${key}"${inner.length > 0 ? ` in ${pathText(inner)}` : ''}`,
        habitHint(habits, [...inner, key], valueAt(root, [...inner, key])) ??
          didYouMean(key, valid) ??
          (valid.length > 0 ? `known here: ${valid.join(', ')}` : undefined),
      ),
    );
  }
  const missing = value === undefined;
  const at = file.positionOf(path, missing || issue.code === 'invalid_key' ? 'key' : 'value');
  const name =
    inner.length > 0 ? pathText(inner) : String(path.findLast((s) => typeof s === 'string') ?? 'the file');
  const written = missing ? undefined : file.written(path);
  const { message, hint } = wording(issue, name, value, written);
  return [
    file.finding('E_SCHEMA', at, message, (missing ? undefined : habitHint(habits, inner, value)) ?? hint),
  ];
}

/** What to say about one issue; our own `custom` messages of schemas stand as they are. */
function wording(
  issue: Issue,
  name: string,
  value: unknown,
  written: string | undefined,
): { message: string; hint?: string | undefined } {
  const templated = written !== undefined && /\{[{%]/.test(written);
  const got =
    templated && value !== null && typeof value !== 'object'
      ? `${shown(value, undefined)} from ${written}`
      : shown(value, written);
  switch (issue.code) {
    case 'invalid_type': {
      if (value === undefined)
        return { message: `${name} is missing; it must be ${typeName(issue.expected)}` };
      return {
        message: `${name} must be ${typeName(issue.expected)}, got ${got}`,
        hint: templated
          ? `the variable is ${typeName(kindOf(value))}; change it where it is defined`
          : typeHint(issue.expected, value, written),
      };
    }
    case 'invalid_value': {
      const words = issue.values.map(String);
      return {
        message: `${name} must be ${words.length === 1 ? words[0] : `one of ${words.join(', ')}`}, got ${got}`,
        hint: typeof value === 'string' ? didYouMean(value, words) : undefined,
      };
    }
    case 'too_small':
    case 'too_big': {
      const limit = Number(issue.code === 'too_small' ? issue.minimum : issue.maximum);
      const least = issue.code === 'too_small' ? 'at least' : 'at most';
      if (issue.origin === 'string') return { message: `${name} must have ${least} ${limit} characters` };
      if (issue.origin === 'array') return { message: `${name} must have ${least} ${limit} entries` };
      const strictly =
        issue.inclusive === false ? (issue.code === 'too_small' ? 'more than' : 'less than') : least;
      return { message: `${name} must be ${strictly} ${limit}, got ${got}` };
    }
    case 'invalid_format':
      if (issue.message.startsWith('Invalid ')) return { message: `${name} has the wrong form: ${got}` };
      return { message: `${name} ${issue.message}, got ${got}` };
    case 'invalid_union': {
      const wanted = [
        ...new Set(
          issue.errors.flat().flatMap((e) => (e.code === 'invalid_type' ? [typeName(e.expected)] : [])),
        ),
      ];
      const message =
        wanted.length > 0 ? `${name} must be ${wanted.join(' or ')}` : `${name} has the wrong form`;
      return { message: value === undefined ? `${message}; it is missing` : `${message}, got ${got}` };
    }
    case 'invalid_key':
      return { message: `${name} is no valid name${issue.issues[0] ? `: ${issue.issues[0].message}` : ''}` };
    default:
      return { message: issue.message.startsWith(name) ? issue.message : `${name}: ${issue.message}` };
  }
}

/** Of a union's branches the one that the writer most likely meant: where the errors lie deepest and are fewest. */
function narrow(issue: Issue): Issue {
  if (issue.code !== 'invalid_union' || issue.errors.length === 0) return issue;
  const branches = issue.errors
    .filter((branch) => branch.length > 0)
    .map((branch) => ({ branch, depth: Math.max(...branch.map(weight)) }))
    .sort((a, b) => b.depth - a.depth || a.branch.length - b.branch.length);
  const best = branches[0];
  const first = best?.branch[0];
  if (best === undefined || first === undefined || best.depth === 0) return issue;
  return narrow({ ...first, path: [...issue.path, ...first.path] } as Issue);
}

/** 0 where not even the type fits; the value then was not meant for that branch. */
function weight(issue: Issue): number {
  return issue.path.length + (issue.code === 'invalid_type' || issue.code === 'invalid_union' ? 0 : 0.5);
}

const typeNames: Readonly<Record<string, string>> = {
  string: 'a string',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'a map',
  record: 'a map',
  null: 'empty',
};

function typeName(expected: string): string {
  return typeNames[expected] ?? expected;
}

function typeHint(expected: string, value: unknown, written: string | undefined): string | undefined {
  if (expected === 'string' && (typeof value === 'number' || typeof value === 'boolean'))
    return `quote it: "${written ?? String(value)}"`;
  if (expected === 'boolean' && typeof value === 'string') {
    if (/^(yes|on|y|true)$/i.test(value)) return 'write true';
    if (/^(no|off|n|false)$/i.test(value)) return 'write false';
  }
  if ((expected === 'number' || expected === 'int') && typeof value === 'string' && /^[0-9]+$/.test(value))
    return `write it without quotes: ${value}`;
  if (expected === 'array' && value !== null && typeof value !== 'object') {
    // What looks like a command line is one word a list item.
    const words =
      typeof value === 'string' && /^[\w./=+@%-]+( [\w./=+@%-]+)+$/.test(value) ? value.split(' ') : [];
    return `write a list: [${words.length > 1 ? words.join(', ') : (written ?? String(value))}]`;
  }
  return undefined;
}

function kindOf(value: unknown): string {
  return value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value;
}

function shown(value: unknown, written: string | undefined): string {
  if (value === null) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'a map';
  if (typeof value === 'string') return `"${value.length > 60 ? `${value.slice(0, 60)}…` : value}"`;
  return written ?? String(value);
}

/** `tasks[2].file.mode` */
export function pathText(path: Path): string {
  return path.reduce<string>(
    (text, step) =>
      typeof step === 'number' ? `${text}[${step}]` : text === '' ? String(step) : `${text}.${step}`,
    '',
  );
}

function valueAt(root: unknown, path: Path): unknown {
  let value = root;
  for (const step of path) {
    if (value === null || typeof value !== 'object' || !Object.hasOwn(value, step)) return undefined;
    value = (value as Record<string | number, unknown>)[step];
  }
  return value;
}

/** The keys that the schema knows at a path. */
function keysAt(schema: z.core.$ZodType, path: Path): string[] {
  let here = alternatives(schema);
  for (const step of path) here = here.flatMap((one) => below(one, step)).flatMap(alternatives);
  return [...new Set(here.flatMap((one) => (isObject(one) ? Object.keys(one._zod.def.shape) : [])))];
}

function isObject(schema: z.core.$ZodType): schema is z.core.$ZodObject {
  return schema._zod.def.type === 'object';
}

function below(schema: z.core.$ZodType, step: string | number): z.core.$ZodType[] {
  const def = (schema as z.core.$ZodTypes)._zod.def;
  if (def.type === 'object') {
    const field = def.shape[step];
    return field ? [field] : def.catchall ? [def.catchall] : [];
  }
  if (def.type === 'array') return [def.element];
  if (def.type === 'record') return [def.valueType];
  return [];
}

/** Looks through optional, default, lazy, pipes and unions to what is really checked. */
function alternatives(schema: z.core.$ZodType): z.core.$ZodType[] {
  const def = (schema as z.core.$ZodTypes)._zod.def;
  switch (def.type) {
    case 'optional':
    case 'nullable':
    case 'default':
    case 'prefault':
    case 'readonly':
    case 'catch':
    case 'nonoptional':
      return alternatives(def.innerType);
    case 'lazy':
      return alternatives(def.getter());
    case 'pipe':
      return alternatives(def.in);
    case 'union':
      return def.options.flatMap(alternatives);
    default:
      return [schema];
  }
}
