import type { Diagnostic } from '../lib/errors.ts';
import type { Declaration } from './declaration.ts';

/** Two declarations of one host of which the later would undo what the earlier does. */
export interface Contradiction {
  earlier: Declaration;
  later: Declaration;
  finding: Diagnostic;
}

/**
 * Finds declarations of one host that say different things of the same property, each with the nearest one before it.
 * @param declarations in the order in which they are applied
 */
export function contradictions(declarations: readonly Declaration[]): Contradiction[] {
  const said = new Map<string, Map<string, { value: string; by: Declaration }>>();
  const found: Contradiction[] = [];
  for (const later of declarations)
    for (const { subject, says } of later.claims ?? []) {
      const known = said.get(subject) ?? new Map<string, { value: string; by: Declaration }>();
      said.set(subject, known);
      const different: string[] = [];
      let earlier: Declaration | undefined;
      for (const [property, value] of Object.entries(says)) {
        const before = known.get(property);
        if (before !== undefined && before.value !== value) {
          earlier ??= before.by;
          if (before.by === earlier) different.push(difference(property, value, before.value));
        }
        known.set(property, { value, by: later });
      }
      if (earlier !== undefined)
        found.push({ earlier, later, finding: tell(subject, different, earlier, later) });
    }
  return found;
}

function difference(property: string, value: string, before: string): string {
  const readable = [value, before].every((text) => /^[\x20-\x7e]{1,48}$/.test(text));
  return readable ? `${property} ${value}, but ${before}` : `other ${property} than`;
}

function tell(
  subject: string,
  different: readonly string[],
  earlier: Declaration,
  later: Declaration,
): Diagnostic {
  const { file, line, col } = earlier.at;
  return {
    code: 'E_CONTRADICTION',
    message: `${subject}: ${different.join('; ')} in task "${earlier.task}" at ${file}:${line}:${col}`,
    hint: 'the later one would undo the earlier one on every run: keep one, or give them conditions that exclude each other',
    at: later.at,
    task: later.task,
  };
}
