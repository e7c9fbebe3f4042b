import type { Path, YamlFile } from '../config/yaml.ts';
import type { HostFacts } from '../facts/facts.ts';
import { FleetError } from '../lib/errors.ts';
import { type Condition, compileCondition } from './condition.ts';
import { diagnosticOf } from './findings.ts';
import { Problem } from './problem.ts';

/**
 * Compiles what stands at `when:`: an expression, true or false, or a list of expressions that must all hold.
 * What it answers later throws FleetError with the place of the expression.
 */
export function compileWhen(
  value: string | boolean | readonly (string | boolean)[],
  yaml: YamlFile,
  path: Path,
  report: (problem: Problem) => void,
): Condition {
  if (typeof value === 'boolean') return { decide: () => value };
  if (typeof value === 'string') return compileOne(value, yaml, path, report);
  return allOf(value.map((one, index) => compileWhen(one, yaml, [...path, index], report)));
}

function compileOne(text: string, yaml: YamlFile, path: Path, report: (problem: Problem) => void): Condition {
  const placed = (error: unknown) => (error instanceof Problem ? error.placed({ yaml, path }) : error);
  try {
    const condition = compileCondition(text);
    return {
      decide(variables) {
        try {
          const decision = condition.decide(variables);
          if (typeof decision === 'boolean') return decision;
          return (facts) => {
            try {
              return decision(facts);
            } catch (error) {
              throw error instanceof Problem ? new FleetError(diagnosticOf(placed(error) as Problem)) : error;
            }
          };
        } catch (error) {
          throw placed(error);
        }
      },
    };
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    report(error.placed({ yaml, path }));
    return { decide: () => false };
  }
}

function allOf(conditions: readonly Condition[]): Condition {
  return {
    decide(variables) {
      const open: ((facts: HostFacts) => boolean)[] = [];
      for (const condition of conditions) {
        const decision = condition.decide(variables);
        if (decision === false) return false;
        if (decision !== true) open.push(decision);
      }
      return open.length === 0 ? true : (facts) => open.every((decision) => decision(facts));
    },
  };
}
