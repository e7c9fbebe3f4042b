import type { Path, YamlFile } from '../config/yaml.ts';
import { type Origin, Problem } from './problem.ts';
import { compileTemplate, isTemplate, type Lookup, valueOfUse } from './template.ts';

/** A value of a YAML file with the templates in it compiled. */
export interface Compiled {
  /** true where nothing in it is a template: evaluate() then answers the same object for every host */
  literal: boolean;
  /** The value with its templates rendered. @throws Problem, UnknownYet */
  evaluate(variables: Lookup): unknown;
  /** Evaluates every variable that it needs, but none that `without` names. @throws Problem, UnknownYet */
  checkNames(variables: Lookup, without: string): void;
}

/**
 * Compiles all strings of a value. A string that is one `{{ … }}` alone keeps the type of what it names.
 * @param report gets what is wrong, for every string at once
 */
export function compileValue(
  value: unknown,
  yaml: YamlFile,
  path: Path,
  report: (problem: Problem) => void,
): Compiled {
  if (typeof value === 'string') return compileString(value, { yaml, path }, report);
  if (value === null || typeof value !== 'object') return literal(value);
  const entries: [string | number, Compiled][] = Object.entries(value).map(([key, item]) => {
    const step = Array.isArray(value) ? Number(key) : key;
    if (typeof step === 'string' && isTemplate(step))
      report(new Problem('E_TEMPLATE', `the key "${step}" can not be a template`).placed({ yaml, path }));
    return [step, compileValue(item, yaml, [...path, step], report)];
  });
  if (entries.every(([, item]) => item.literal)) return literal(value);
  const list = Array.isArray(value);
  return {
    literal: false,
    evaluate: (variables) => {
      const done = entries.map(([key, item]) => [key, item.evaluate(variables)] as const);
      return list ? done.map(([, item]) => item) : Object.fromEntries(done);
    },
    checkNames: (variables, without) => {
      for (const [, item] of entries) item.checkNames(variables, without);
    },
  };
}

/** Compiles one string. */
export function compileString(text: string, origin: Origin, report: (problem: Problem) => void): Compiled {
  if (!isTemplate(text)) return literal(text);
  try {
    const template = compileTemplate(text);
    const placed = <T>(work: () => T): T => {
      try {
        return work();
      } catch (error) {
        throw error instanceof Problem ? error.placed(origin) : error;
      }
    };
    return {
      literal: false,
      evaluate: (variables) => placed(() => template.render(variables, true)),
      checkNames: (variables, without) =>
        placed(() => {
          for (const use of template.names)
            if (use.name !== without && !use.optional) valueOfUse(use, variables);
        }),
    };
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    report(error.placed(origin));
    return literal(text);
  }
}

export function literal(value: unknown): Compiled {
  return { literal: true, evaluate: () => value, checkNames: () => undefined };
}
