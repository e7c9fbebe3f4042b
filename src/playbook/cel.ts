import { type ASTNode, Environment } from '@marcbachmann/cel-js';
import { coerce, satisfies } from 'semver';
import { parseKernelRelease, rangeProblem, versionInRange } from '../facts/kernel-release.ts';
import { factsSchema } from './facts-schema.ts';

const options = {
  unlistedVariablesAreDyn: true,
  homogeneousAggregateLiterals: false,
  limits: {
    maxAstNodes: 2000,
    maxDepth: 64,
    maxListElements: 1000,
    maxMapEntries: 200,
    maxCallArguments: 16,
  },
} as const;

let environments: { check: Environment; run: Environment } | undefined;

/** `check` knows the types of facts; `run` takes values as they come, which is cheaper. */
export function celEnvironments(): { check: Environment; run: Environment } {
  environments ??= {
    check: withFunctions(new Environment(options)).registerVariable({ name: 'facts', schema: factsSchema }),
    run: withFunctions(new Environment(options)),
  };
  return environments;
}

/** Functions that conditions may use, with what each does; `x.f(y)` as `f(x, y)` only where it says so. */
export const celFunctions: Readonly<Record<string, string>> = {
  semver: '`semver(version, range)`: a kernel release or package version lies in a semver range',
  size: '`size(x)`, `x.size()`: entries of a list or map, characters of a text',
  has: '`has(map.key)`: the map has the key',
  matches: '`text.matches(pattern)`: a regular expression occurs in the text',
  startsWith: '`text.startsWith(text)`',
  endsWith: '`text.endsWith(text)`',
  contains: '`text.contains(text)`',
  lowerAscii: '`text.lowerAscii()`: A to Z as small letters',
  upperAscii: '`text.upperAscii()`',
  trim: '`text.trim()`: no white space around it',
  split: '`text.split(text)`: a list',
  join: '`list.join(text)`: a text',
  indexOf: '`text.indexOf(text)`: from 0; -1 where it does not occur',
  substring: '`text.substring(from, to)`: from 0, without the character at `to`',
  all: '`list.all(x, condition)`: every entry fulfils it',
  exists: '`list.exists(x, condition)`: at least one does',
  exists_one: '`list.exists_one(x, condition)`: just one does',
  filter: '`list.filter(x, condition)`: the entries that do',
  map: '`list.map(x, value)`: a value made of each entry',
  int: '`int(x)`: a whole number of a text or number',
  double: '`double(x)`: a number with a fraction',
  string: '`string(x)`: a text of a number or of true and false',
};

function withFunctions(environment: Environment): Environment {
  return environment.registerFunction('semver(string, string): bool', semverFunction);
}

/** `semver(version, range)`: kernel releases and distribution versions such as `1:8.2.1+dfsg-2` are understood. */
function semverFunction(version: string, range: string): boolean {
  const problem = rangeProblem(range);
  if (problem !== undefined) throw new Error(`"${range}" ${problem}`);
  const kernel = parseKernelRelease(version);
  if (kernel !== undefined) return versionInRange(kernel.version, range);
  const plain = coerce(version.replace(/^[0-9]+:/, ''));
  if (plain === null) throw new Error(`"${version.slice(0, 60)}" holds no version number`);
  return satisfies(plain, range);
}

const converted = new WeakMap<object, unknown>();

/** A value as CEL wants it: whole numbers are its int, which is a bigint here. */
export function toCel(value: unknown): unknown {
  if (typeof value === 'number') return Number.isSafeInteger(value) ? BigInt(value) : value;
  if (value === null || typeof value !== 'object') return value;
  const known = converted.get(value);
  if (known !== undefined) return known;
  const result = Array.isArray(value)
    ? value.map(toCel)
    : Object.fromEntries(Object.entries(value).map(([key, item]) => [key, toCel(item)]));
  converted.set(value, result);
  return result;
}

const typeNames = new Set(
  'bool int uint double string bytes list map null_type type timestamp duration dyn cel optional'.split(' '),
);
const binders = new Set(['all', 'exists', 'exists_one', 'map', 'filter']);

/** Variables that an expression needs from outside, each with the offset of its first use. */
export function freeNames(root: ASTNode): Map<string, number> {
  const names = new Map<string, number>();
  const visit = (node: ASTNode, bound: ReadonlySet<string>): void => {
    if (node.op === 'id') {
      if (!bound.has(node.args) && !typeNames.has(node.args) && !names.has(node.args))
        names.set(node.args, node.start);
      return;
    }
    if (node.op === 'rcall') {
      const [name, receiver, args] = node.args;
      visit(receiver, bound);
      const first = args[0];
      const binds = (binders.has(name) || name === 'bind') && first?.op === 'id' && args.length > 1;
      const inner = binds ? new Set([...bound, first.args]) : bound;
      for (const argument of binds ? args.slice(1) : args) visit(argument, inner);
      return;
    }
    for (const child of childrenOf(node)) visit(child, bound);
  };
  visit(root, new Set());
  return names;
}

/** Whether its work may grow beyond its text: patterns backtrack, and loops in loops multiply. */
export function mayTakeLong(root: ASTNode): boolean {
  if (root.op === 'rcall' && (root.args[0] === 'matches' || binders.has(root.args[0]))) return true;
  return childrenOf(root).some(mayTakeLong);
}

/** Calls of `semver` whose range is written out, so that it can be checked before any host is asked. */
export function literalRanges(root: ASTNode): { range: string; offset: number }[] {
  const found: { range: string; offset: number }[] = [];
  const visit = (node: ASTNode): void => {
    if (node.op === 'call' && node.args[0] === 'semver') {
      const range = node.args[1][1];
      if (range?.op === 'value' && typeof range.args === 'string')
        found.push({ range: range.args, offset: range.start });
    }
    if (node.op === 'rcall') for (const child of [node.args[1], ...node.args[2]]) visit(child);
    else for (const child of childrenOf(node)) visit(child);
  };
  visit(root);
  return found;
}

function childrenOf(node: ASTNode): ASTNode[] {
  const found: ASTNode[] = [];
  const collect = (value: unknown): void => {
    if (Array.isArray(value)) for (const item of value) collect(item);
    else if (typeof value === 'object' && value !== null && 'op' in value) found.push(value as ASTNode);
  };
  collect(node.args);
  return found;
}
