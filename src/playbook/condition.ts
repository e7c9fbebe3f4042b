import type { ASTNode, ParseResult } from '@marcbachmann/cel-js';
import type { HostFacts } from '../facts/facts.ts';
import { rangeProblem } from '../facts/kernel-release.ts';
import { celEnvironments, freeNames, literalRanges, mayTakeLong, toCel } from './cel.ts';
import { functionHint, missingKey, stopped, undefinedInCondition, wrongTypes } from './condition-habits.ts';
import { Problem } from './problem.ts';
import { isTemplate, type Lookup } from './template.ts';
import { withinTime } from './time-limit.ts';

/** Most milliseconds for one answer of a part that may take long. */
const maxTime = 1000;

/** What is left of a condition once a host's variables are known: its answer, or what to ask of the facts. */
export type Decision = boolean | ((facts: HostFacts) => boolean);

export interface Condition {
  /**
   * Decides what needs no facts, from left to right; `"name" in vars && …` guards what may be undefined.
   * @throws Problem, UnknownYet; the answer throws Problem too when facts do not fit
   */
  decide(variables: Lookup & { names(): Iterable<string> }): Decision;
}

/**
 * Compiles a CEL expression that answers true or false.
 * @throws Problem E_CONDITION with the offset of a syntax or type error
 */
export function compileCondition(text: string): Condition {
  if (isTemplate(text))
    throw new Problem('E_CONDITION', 'a condition is an expression, not a template', {
      offset: Math.max(0, text.search(/\{[{%]/)),
      hint: `write it without {{ }}: ${text.replace(/[{}%]+/g, '').trim()}`,
    });
  const { check, run } = celEnvironments();
  const program = attempt(() => run.parse(text), text);
  const verdict = check.check(text);
  if (!verdict.valid) throw celProblem(verdict.error, text);
  if (verdict.type !== 'bool' && verdict.type !== 'dyn')
    throw new Problem('E_CONDITION', `the condition gives ${verdict.type}, not true or false`);
  for (const { range, offset } of literalRanges(program.ast)) {
    const problem = rangeProblem(range);
    if (problem !== undefined) throw new Problem('E_CONDITION', `"${range}" ${problem}`, { offset });
  }
  return buildPart(program.ast, text);
}

function buildPart(node: ASTNode, text: string): Condition {
  if (node.op === '&&' || node.op === '||') {
    const [left, right] = node.args;
    return joined(buildPart(left, text), buildPart(right, text), node.op === '||');
  }
  const { program, start } = programOf(node, text);
  return new Part(program, freeNames(node), text, start, mayTakeLong(node));
}

/** The library's range of a node leaves out parentheses at its ends, as in `(a + 1) * 2`: they are taken in again. */
function programOf(node: ASTNode, text: string): { program: ParseResult; start: number } {
  const starts = [node.start];
  for (let at = node.start - 1; /[\s(]/.test(text[at] ?? ''); at--) if (text[at] === '(') starts.push(at);
  const ends = [node.end];
  for (let at = node.end; /[\s)]/.test(text[at] ?? ''); at++) if (text[at] === ')') ends.push(at + 1);
  let failure: unknown;
  for (let more = 0; more < starts.length + ends.length; more++)
    for (const [left, start] of starts.slice(0, more + 1).entries()) {
      const end = ends[more - left];
      if (end === undefined) continue;
      try {
        return { program: celEnvironments().run.parse(text.slice(start, end)), start };
      } catch (error) {
        failure ??= error;
      }
    }
  throw celProblem(failure, text, node.start);
}

/** `left && right`, or with `or` set `left || right`; a side that decides makes the other one needless. */
function joined(left: Condition, right: Condition, or: boolean): Condition {
  return {
    decide(variables) {
      const first = left.decide(variables);
      if (first === or) return or;
      const second = right.decide(variables);
      if (typeof first === 'boolean') return second;
      if (second === or) return or;
      if (typeof second === 'boolean') return first;
      return (facts) => (or ? first(facts) || second(facts) : first(facts) && second(facts));
    },
  };
}

/** A part without && and || at its top. */
class Part implements Condition {
  readonly #program: ParseResult;
  readonly #names: ReadonlyMap<string, number>;
  /** the whole condition, and where this part begins in it */
  readonly #text: string;
  readonly #start: number;
  readonly #long: boolean;
  /** why it is not tried again with the variables of the next host */
  #hopeless: Problem | undefined;

  constructor(
    program: ParseResult,
    names: ReadonlyMap<string, number>,
    text: string,
    start: number,
    long: boolean,
  ) {
    this.#long = long;
    this.#text = text;
    this.#program = program;
    this.#names = names;
    this.#start = start;
  }

  decide(variables: Lookup & { names(): Iterable<string> }): Decision {
    const values: Record<string, unknown> = Object.create(null);
    for (const [name, offset] of this.#names) {
      if (name === 'facts') continue;
      values[name] = toCel(
        name === 'vars' ? allVariables(variables) : variableValue(variables, name, this.#text, offset),
      );
    }
    if (!this.#names.has('facts')) {
      if (this.#hopeless !== undefined) throw this.#hopeless.copy();
      return this.#run(values);
    }
    return (facts) => this.#run({ ...values, facts: toCel(facts) });
  }

  #run(values: Record<string, unknown>): boolean {
    const answer = this.#long
      ? this.#runLong(values)
      : attempt(() => this.#program(values), this.#text, this.#start);
    if (typeof answer !== 'boolean')
      throw new Problem('E_CONDITION', 'the condition is not true or false', {
        offset: this.#start,
        hint: 'compare it: name == "value"',
      });
    return answer;
  }

  #runLong(values: Record<string, unknown>): unknown {
    try {
      return withinTime(maxTime, () => attempt(() => this.#program(values), this.#text, this.#start));
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      const problem = new Problem('E_CONDITION', `the condition ${error.message}`, {
        offset: this.#start,
        hint: 'write patterns without a repetition in a repetition, and fewer loops in loops',
      });
      if (!this.#names.has('facts')) this.#hopeless = problem;
      throw problem;
    }
  }
}

function variableValue(variables: Lookup, name: string, text: string, offset: number): unknown {
  try {
    return variables.get(name);
  } catch (error) {
    if (error instanceof Problem && error.origin === undefined)
      throw new Problem(error.code, error.message, {
        offset,
        hint:
          undefinedInCondition(name, text, offset) ??
          error.hint ??
          `to ask whether it exists: "${name}" in vars`,
      });
    throw error;
  }
}

/** Variables under `vars`, for `"name" in vars`; rendered only when they are read. */
function allVariables(variables: Lookup & { names(): Iterable<string> }): Record<string, unknown> {
  return Object.fromEntries([...variables.names()].map((name) => [name, variables.get(name)]));
}

function attempt<T>(work: () => T, text: string, shift = 0): T {
  try {
    return work();
  } catch (error) {
    throw error instanceof Problem ? error : celProblem(error, text, shift);
  }
}

/**
 * CEL's errors by their summary and range, without the picture that the library draws into the message.
 * @param text the condition
 * @param shift where in it the library's offsets begin
 */
function celProblem(error: unknown, text: string, shift = 0): Problem {
  const { summary, message, range } = error as {
    summary?: string;
    message?: string;
    range?: { start: number };
  };
  const said = (summary ?? message ?? String(error)).split('\n')[0]!;
  const offset = shift + (range?.start ?? 0);
  return new Problem('E_CONDITION', ...wording(said, text, offset));
}

function wording(
  said: string,
  text: string,
  offset: number,
): [string, { offset: number; hint?: string | undefined }] {
  if (said === 'Unexpected token: EOF') return ['the expression ends too early', { offset }];
  if (/^(Unexpected (character|token)|Expected \w+, got)/.test(said)) {
    const { word, hint } = stopped(text, offset);
    return [word === '' ? 'the expression ends too early' : `"${word}" can not stand here`, { offset, hint }];
  }
  const key = /^No such key: (\w+)$/.exec(said)?.[1];
  if (key !== undefined) return [`there is no ${key}`, { offset, hint: missingKey(key, text, offset) }];
  const types = wrongTypes(said);
  if (types !== undefined) return [types.message, { offset, hint: types.hint }];
  const name = /no matching overload for '(?:[^'(]*\.)?([A-Za-z_]+)\(/.exec(said)?.[1];
  const hint = name === undefined ? undefined : functionHint(name);
  return [said.replace(/^found no/, 'no'), { offset, hint }];
}
