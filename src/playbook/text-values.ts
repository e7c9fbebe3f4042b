import type { z } from 'zod';
import type { Path } from '../config/yaml.ts';

/**
 * A lone `{{ name }}` keeps the type of its variable, so a number may stand where text is wanted: it is written out there.
 * @param issues what the kind's schema says of `value`
 * @param written the same value as the file has it, templates not rendered
 * @returns a copy with such values as text, or undefined where there is none. A schema with words of its own for a
 * number (file modes, which YAML reads as decimal) is left its say.
 */
export function withTextValues(
  issues: readonly z.core.$ZodIssue[],
  value: unknown,
  written: unknown,
): unknown {
  const places = issues.filter(
    (issue) =>
      issue.code === 'invalid_type' &&
      issue.expected === 'string' &&
      issue.message.startsWith('Invalid input') &&
      isPlain(at(value, issue.path as Path)) &&
      typeof at(written, issue.path as Path) === 'string',
  );
  if (places.length === 0) return undefined;
  const copy = structuredClone(value);
  for (const { path } of places) {
    const last = path.at(-1) as string | number;
    const owner = at(copy, path.slice(0, -1) as Path) as Record<string | number, unknown>;
    owner[last] = String(owner[last]);
  }
  return copy;
}

function isPlain(value: unknown): boolean {
  return typeof value === 'number' || typeof value === 'boolean';
}

function at(root: unknown, path: Path): unknown {
  return path.reduce<unknown>(
    (value, step) =>
      typeof value === 'object' && value !== null && Object.hasOwn(value, step)
        ? (value as Record<string | number, unknown>)[step]
        : undefined,
    root,
  );
}
