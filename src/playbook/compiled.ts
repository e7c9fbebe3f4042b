import type { Path, YamlFile } from '../config/yaml.ts';
import { type Origin, Problem } from './problem.ts';
import { compileTemplate, isTemplate, type Lookup } from './template.ts';

/** A value of a YAML file with the templates in it compiled. */
export interface Compiled {
  /** true where nothing in it is a template: evaluate() then answers the same object for every host */
  literal: boolean;
  /** The value with its templates rendered. @throws Problem, UnknownYet */
  evaluate(variables: Lookup): unknown;
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
  if (Array.isArray(value))
    return { literal: false, evaluate: (variables) => entries.map(([, item]) => item.evaluate(variables)) };
  return {
    literal: false,
    evaluate: (variables) =>
      Object.fromEntries(entries.map(([key, item]) => [key, item.evaluate(variables)])),
  };
}

/** Compiles one string. */
export function compileString(text: string, origin: Origin, report: (problem: Problem) => void): Compiled {
  if (!isTemplate(text)) return literal(text);
  try {
    const template = compileTemplate(text);
    return {
      literal: false,
      evaluate: (variables) => {
        try {
          return template.render(variables, true);
        } catch (error) {
          throw error instanceof Problem ? error.placed(origin) : error;
        }
      },
    };
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    report(error.placed(origin));
    return literal(text);
  }
}

export function literal(value: unknown): Compiled {
  return { literal: true, evaluate: () => value };
}
