import type { Diagnostic } from '../lib/errors.ts';
import type { Origin, Problem } from './problem.ts';

/**
 * A problem as a finding at its place.
 * @param where the text that was worked on, for a problem that does not know where it stands
 */
export function diagnose(problem: Problem, where: Extract<Origin, { yaml: unknown }>): Diagnostic {
  const { code, message, hint, offset } = problem;
  const origin = problem.origin ?? where;
  if ('yaml' in origin)
    return origin.yaml.finding(code, origin.yaml.positionInside(origin.path, offset), message, hint);
  const { line, col, excerpt } = origin.lineOf(offset);
  return { code, message, hint, at: { file: origin.template, line, col }, excerpt };
}
