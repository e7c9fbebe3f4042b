import type { Diagnostic } from '../lib/errors.ts';
import type { Problem } from './problem.ts';

/** Most findings that are told at once. */
const maxFindings = 50;

/** A problem at its place in the operator's file. Without an origin it has no place. */
export function diagnosticOf(problem: Problem): Diagnostic {
  const { code, message, hint, origin, offset } = problem;
  if (origin === undefined) return { code, message, hint };
  if ('yaml' in origin) {
    const at = origin.yaml.positionInside(origin.path, offset);
    return origin.yaml.finding(code, at, message, hint);
  }
  const { line, col, excerpt } = origin.lineOf(offset);
  return { code, message, hint, at: { file: origin.template, line, col }, excerpt };
}

/** Collects findings; the same one of many hosts is said once, with the first host's name and how many more there are. */
export class Findings {
  readonly #found = new Map<string, { diagnostic: Diagnostic; hosts: Set<string> }>();

  add(diagnostic: Diagnostic, host?: string): void {
    const { code, message, at } = diagnostic;
    const key = `${code} ${at?.file}:${at?.line}:${at?.col} ${message}`;
    const known = this.#found.get(key);
    if (known !== undefined) {
      if (host !== undefined) known.hosts.add(host);
    } else this.#found.set(key, { diagnostic, hosts: new Set(host === undefined ? [] : [host]) });
  }

  /** In file order, those without a place first. */
  list(): Diagnostic[] {
    return [...this.#found.values()]
      .map(({ diagnostic, hosts }) => {
        const [first] = hosts;
        if (first === undefined) return diagnostic;
        const more = hosts.size - 1;
        const others = more === 0 ? '' : ` (and on ${more} more host${more === 1 ? '' : 's'})`;
        return { ...diagnostic, host: first, message: `${diagnostic.message}${others}` };
      })
      .sort(
        (a, b) =>
          byFile(a.at?.file ?? '', b.at?.file ?? '') ||
          (a.at?.line ?? 0) - (b.at?.line ?? 0) ||
          (a.at?.col ?? 0) - (b.at?.col ?? 0),
      )
      .slice(0, maxFindings);
  }
}

function byFile(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
