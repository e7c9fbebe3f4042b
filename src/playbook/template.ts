import {
  Context,
  LiquidError,
  type Template as LiquidTemplate,
  Output,
  TokenKind,
  toValueSync,
  Value,
} from 'liquidjs';
import { didYouMean } from '../lib/nearest.ts';
import { liquid } from './liquid.ts';
import { Problem } from './problem.ts';
import { jinjaFilters, jinjaTags, stopHint, undefinedInTemplate } from './template-habits.ts';

/** Most outputs and tags that a template may have. */
const maxParts = 5000;

/** Variables by name, as a template or condition sees them. */
export interface Lookup {
  /** @throws Problem E_UNDEFINED_VARIABLE, UnknownYet */
  get(name: string): unknown;
  has(name: string): boolean;
}

/** A variable that a template needs. `optional`: only used as `{{ name | default: … }}`. */
export interface NameUse {
  name: string;
  offset: number;
  optional: boolean;
}

/** A compiled template; compiling is the expensive part, so one serves all hosts. */
export interface Template {
  names: readonly NameUse[];
  /** The text, or where the whole template is one `{{ … }}` and `typed` is asked for, the value itself. */
  render(variables: Lookup, typed: boolean): unknown;
}

/** Whether a string is more than literal text. */
export function isTemplate(text: string): boolean {
  return text.includes('{{') || text.includes('{%');
}

/**
 * Compiles a Liquid template.
 * @throws Problem E_TEMPLATE with the offset of what is wrong
 */
export function compileTemplate(text: string): Template {
  refuseManyParts(text);
  const starts = lineStarts(text);
  try {
    const parts = liquid().parse(text);
    refuseSurplus(parts, text);
    const names = namesOf(parts, starts);
    const facts = names.find((use) => use.name === 'facts');
    if (facts !== undefined)
      throw new Problem('E_TEMPLATE', 'templates can not use facts', {
        offset: facts.offset,
        hint: 'facts come from the host, after templates are rendered; use them in when:',
      });
    return new CompiledTemplate(parts, names, starts);
  } catch (error) {
    throw toProblem(error, starts, { text });
  }
}

/** The engine reads `a b c` for one value and leaves out the rest. */
function refuseSurplus(parts: readonly LiquidTemplate[], text: string): void {
  for (const { initial } of valuesOf(parts)) {
    const operands = initial.postfix
      .filter(({ kind }) => kind !== TokenKind.Operator)
      .sort((a, b) => a.begin - b.begin);
    for (const [index, operand] of operands.entries()) {
      const before = operands[index - 1];
      if (before === undefined || operand.input !== text || /\S/.test(text.slice(before.end, operand.begin)))
        continue;
      const { begin } = operand;
      throw new Problem('E_TEMPLATE', `"${operand.getText()}" can not stand behind a value`, {
        offset: begin,
        hint: stopHint(text, begin) ?? 'filters stand behind |, texts in quotes',
      });
    }
  }
}

/** The engine counts lines from the top for each part that it reports. */
function refuseManyParts(text: string): void {
  let parts = 0;
  for (const { index } of text.matchAll(/\{[{%]/g))
    if (++parts > maxParts)
      throw new Problem('E_TEMPLATE', `more than ${maxParts} {{ }} and {% %} up to here`, { offset: index });
}

class CompiledTemplate implements Template {
  readonly names: readonly NameUse[];
  readonly #parts: LiquidTemplate[];
  readonly #starts: readonly number[];
  readonly #single: Value | undefined;

  constructor(parts: LiquidTemplate[], names: readonly NameUse[], starts: readonly number[]) {
    this.#parts = parts;
    this.names = names;
    this.#starts = starts;
    const [only, more] = parts;
    if (only instanceof Output && more === undefined) this.#single = withoutOutputRules(only.value);
  }

  render(variables: Lookup, typed: boolean): unknown {
    const scope: Record<string, unknown> = Object.create(null);
    for (const use of this.names) {
      if (use.optional && !variables.has(use.name)) continue;
      try {
        scope[use.name] = variables.get(use.name);
      } catch (error) {
        // The variable's own text may be at fault; only an undefined name is this template's error, at this offset.
        if (error instanceof Problem && error.origin === undefined && error.offset === 0)
          throw new Problem(error.code, error.message, {
            hint: undefinedInTemplate(use.name) ?? error.hint,
            offset: use.offset,
          });
        throw error;
      }
    }
    try {
      if (typed && this.#single !== undefined) return this.#value(this.#single, scope);
      return liquid().renderSync(this.#parts, scope);
    } catch (error) {
      throw toProblem(error, this.#starts, { scope });
    }
  }

  #value(single: Value, scope: object): unknown {
    const result = toValueSync(single.value(new Context(scope, liquid().options, { sync: true }), false));
    if (result === undefined) throw new Problem('E_UNDEFINED_VARIABLE', 'the value is undefined');
    return result;
  }
}

/** The engine appends its output rule as a last filter; a typed value must not be turned into text by it. */
function withoutOutputRules(value: Value): Value {
  const plain: Value = Object.create(value);
  Object.defineProperty(plain, 'filters', { value: value.filters.slice(0, -1) });
  return plain;
}

function namesOf(parts: LiquidTemplate[], starts: readonly number[]): NameUse[] {
  const { globals } = liquid().analyzeSync(parts, { partials: false });
  const guarded = guardedOffsets(parts);
  const uses: NameUse[] = [];
  for (const [name, places] of Object.entries(globals)) {
    const offsets = places.map((place) => (starts[place.location.row - 1] ?? 0) + place.location.col - 1);
    const needed = offsets.find((offset) => !guarded.has(offset));
    uses.push({ name, offset: needed ?? offsets[0] ?? 0, optional: needed === undefined });
  }
  return uses;
}

/** Offsets of variables that stand directly before `| default:`. */
function guardedOffsets(parts: readonly LiquidTemplate[]): Set<number> {
  const offsets = new Set<number>();
  for (const { filters, initial } of valuesOf(parts))
    if (filters[0]?.name === 'default') {
      const [token, more] = initial.postfix;
      if (token !== undefined && more === undefined) offsets.add(token.begin);
    }
  return offsets;
}

/** All values that a template computes, with those of its inner parts. */
function* valuesOf(parts: readonly LiquidTemplate[]): Generator<Value> {
  for (const part of parts) {
    for (const argument of part.arguments?.() ?? []) if (argument instanceof Value) yield argument;
    if (part.children !== undefined)
      yield* valuesOf(toValueSync(part.children(false, true)) as LiquidTemplate[]);
  }
}

/** @param given the text while it is compiled, the variables while it is rendered */
function toProblem(
  error: unknown,
  starts: readonly number[],
  given: { text?: string; scope?: object },
): Error {
  if (error instanceof Problem) return error;
  // Not an error of the template: a bug of ours, or the call stack.
  if (!(error instanceof Error) || (!isLiquidError(error) && !(error instanceof RangeError)))
    return new Problem('E_TEMPLATE', error instanceof Error ? error.message : String(error));
  const { token, originalError } = error as LiquidError & {
    token?: { begin?: number; getPosition?(): number[] };
  };
  const [row, col] = token?.getPosition?.() ?? [1, 1];
  const offset = (starts[(row ?? 1) - 1] ?? 0) + (col ?? 1) - 1;
  const reason = (originalError?.message ?? error.message)
    .split('\n')[0]!
    .replace(/, line:\d+, col:\d+.*$/, '');
  const undefinedName = /^undefined variable: (.*)$/.exec(reason)?.[1];
  if (undefinedName !== undefined)
    return new Problem('E_UNDEFINED_VARIABLE', `${undefinedName} is undefined`, {
      offset,
      hint: given.scope === undefined ? undefined : nearestKey(undefinedName, given.scope),
    });
  return new Problem('E_TEMPLATE', readable(reason), { offset, hint: hintFor(reason, given.text, offset) });
}

function isLiquidError(error: Error): error is LiquidError {
  return LiquidError.is(error) || 'originalError' in error || 'token' in error;
}

/** For `a.b.c` where c is missing: the nearest key of a.b. */
function nearestKey(path: string, scope: object): string | undefined {
  let here: unknown = scope;
  for (const step of path.split('.')) {
    if (typeof here !== 'object' || here === null) return undefined;
    if (!Object.hasOwn(here, step)) return didYouMean(step, Object.keys(here));
    here = (here as Record<string, unknown>)[step];
  }
  return undefined;
}

function readable(reason: string): string {
  return reason
    .replace(/^output "([\s\S]*)" not closed$/, '{{ is not closed by }}')
    .replace(/^tag "([\s\S]*)" not closed$/, 'the tag $1 is not closed')
    .replace(/^invalid value expression: "\s*"$/, 'nothing stands between {{ and }}');
}

function hintFor(reason: string, text: string | undefined, offset: number): string | undefined {
  const filter = /^undefined filter: (.*)$/.exec(reason)?.[1];
  if (filter !== undefined)
    return own(jinjaFilters, filter, 'write ') ?? didYouMean(filter, Object.keys(liquid().filters));
  const tag = /^tag "?([a-z_]+)"? not found$/.exec(reason)?.[1];
  if (tag !== undefined) return own(jinjaTags, tag) ?? didYouMean(tag, Object.keys(liquid().tags));
  const habit = text === undefined ? undefined : stopHint(text, offset);
  if (habit === undefined && reason.startsWith('expected "|" before filter'))
    return 'templates do not calculate; use filters such as `| plus: 1`';
  return habit;
}

function own(table: Readonly<Record<string, string>>, word: string, before = ''): string | undefined {
  if (!Object.hasOwn(table, word)) return undefined;
  const hint = table[word]!;
  return /^[|{]/.test(hint) ? `${before}${hint}` : hint;
}

function lineStarts(text: string): number[] {
  const starts = [0];
  for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) starts.push(at + 1);
  return starts;
}
