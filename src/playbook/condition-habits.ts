import { nearest } from '../lib/nearest.ts';
import { celFunctions } from './cel.ts';
import { facts } from './facts-schema.ts';
import { ansibleFactHint } from './words.ts';

/** By the text on both sides of `▸`, where the parser stopped: what to write instead. */
const stops: readonly (readonly [RegExp, (match: RegExpExecArray) => string])[] = [
  [/([\w.]+)\s+▸is\s+(not\s+defined|undefined)/, ([, name]) => `write !("${name}" in vars)`],
  [/([\w.]+)\s+▸is\s+(not\s+undefined|defined)/, ([, name]) => `write "${name}" in vars`],
  [
    /([\w.]+)\s+▸is\s+(not\s+)?version(?:_compare)?\(\s*["']([^"']*)["'](?:\s*,\s*["']([^"']*)["'])?/,
    versionTest,
  ],
  [/([\w.]+)\s+▸is\s+(?:not\s+)?(?:match|search|regex)\b/, ([, name]) => `write ${name}.matches("pattern")`],
  [/([\w.]+)\s+▸is\s+(?:not\s+false|true|truthy)/, ([, name]) => `write ${name} alone`],
  [/([\w.]+)\s+▸is\s+(?:not\s+true|false|falsy)/, ([, name]) => `write !${name}`],
  [/▸is\b/, () => 'there are no tests; compare with == or !='],
  [
    /([\w.]+)\s+▸not\s+in\s+([\w.]+|\[[^\]]*\])?/,
    ([, left, right]) => `write !(${left} in ${right ?? 'list'})`,
  ],
  [/\bnot\s+▸([\w.]+)/, ([, name]) => `write ! for not: !${name}`],
  [/▸and\b/, () => 'write && for and'],
  [/▸or\b/, () => 'write || for or'],
  [/▸if\b/, () => 'write condition ? a : b'],
  [/▸=(?!=)/, () => 'write == to compare'],
  [/<▸>/, () => 'write != for <>'],
  [
    /([\w.]+)\s*▸\|\s*(?:default|d)\b/,
    ([, name]) => `conditions have no filters; write "${name}" in vars && …`,
  ],
  [/▸\|(?!\|)/, () => `conditions have no filters; functions: ${Object.keys(celFunctions).join(', ')}`],
  [/▸&(?!&)/, () => 'write && for and'],
];

function versionTest([, name, not, version, operator = '==']: RegExpExecArray): string {
  const sign = { '==': '=', eq: '=', ge: '>=', gt: '>', le: '<=', lt: '<' }[operator] ?? operator;
  return `write ${not ? '!' : ''}semver(${name}, "${sign}${version}")`;
}

/** The word or sign where the parser stopped, and what to write instead of a habit. */
export function stopped(text: string, offset: number): { word: string; hint: string | undefined } {
  const word = /^(?:\w+|\S)/.exec(text.slice(offset))?.[0] ?? '';
  const around = `${text.slice(Math.max(0, offset - 200), offset)}▸${text.slice(offset, offset + 200)}`;
  for (const [pattern, hint] of stops) {
    const match = pattern.exec(around);
    if (match !== null) return { word, hint: hint(match) };
  }
  return { word, hint: undefined };
}

/** Functions of other languages by those of CEL's. */
const functionWords: Readonly<Record<string, string>> = {
  lower: 'lowerAscii',
  upper: 'upperAscii',
  len: 'size',
  length: 'size',
  count: 'size',
  strip: 'trim',
  version: 'semver',
  match: 'matches',
  search: 'matches',
  regex: 'matches',
  find: 'indexOf',
  any: 'exists',
  float: 'double',
  str: 'string',
  defined: 'has',
};

/** For a function that is not there, or that takes other arguments. */
export function functionHint(name: string): string | undefined {
  if (name === 'not') return 'write ! for not: !x';
  if (Object.hasOwn(celFunctions, name)) return `it is ${celFunctions[name]}`.replaceAll('`', '');
  const known = Object.keys(celFunctions);
  const found = Object.hasOwn(functionWords, name) ? functionWords[name] : nearest(name, known);
  return found === undefined ? `functions: ${known.join(', ')}` : `did you mean "${found}"?`;
}

const literals: Readonly<Record<string, string>> = {
  True: 'write true',
  False: 'write false',
  yes: 'write true',
  no: 'write false',
  None: 'write null',
  none: 'write null, or "none" for the text',
  ansible_check_mode: 'a plan decides as an apply does; there is nothing to ask for',
  hostvars: 'a host sees its own variables and facts',
  play_hosts: 'write groups["NAME"]',
  ansible_play_hosts: 'write groups["NAME"]',
};

/** For a name that is no variable of the host's: what it may have been meant as. */
export function undefinedInCondition(name: string, text: string, offset: number): string | undefined {
  if (Object.hasOwn(literals, name)) return literals[name];
  const fact = ansibleFactHint(name);
  if (fact !== undefined) return `write ${fact}`;
  const compared =
    /[=!]=\s*$|[[,]\s*$/.test(text.slice(0, offset)) || /^\s*[=!]=/.test(text.slice(offset + name.length));
  return compared
    ? `a text stands in quotes: "${name}"; to ask whether a variable exists: "${name}" in vars`
    : undefined;
}

/** For a key that a map lacks: below facts the nearest of them, or all that stand beside it. */
export function missingKey(key: string, text: string, offset: number): string | undefined {
  const parent = /\bfacts((?:\.\w+)*)\.\s*$/.exec(text.slice(0, offset));
  if (parent === null && !/\bfacts\b/.test(text)) return `to ask first: has(map.${key})`;
  const fact = ansibleFactHint(key);
  if (fact !== undefined) return `write ${fact}`;
  const place = parent?.[1] ? `${parent[1].slice(1)}.` : '';
  const last = (path: string) => path.slice(path.lastIndexOf('.') + 1);
  const word = key.toLowerCase();
  const near = nearest(
    key,
    facts.map(({ path }) => last(path)),
  );
  const all = facts.filter(({ path }) => last(path) === near || last(path).toLowerCase().startsWith(word));
  const beside = all.filter(({ path }) => path === `${place}${last(path)}`);
  const found = beside.length > 0 ? beside : all;
  if (found.length > 0) return `did you mean ${found.map(({ path }) => `facts.${path}`).join(' or ')}?`;
  return belowHint(place.slice(0, -1));
}

/** What stands in a map of facts, by its path below facts. */
export function belowHint(path: string): string {
  const prefix = path === '' ? '' : `${path}.`;
  const names = facts
    .filter((fact) => fact.path.startsWith(prefix))
    .map((fact) => fact.path.slice(prefix.length));
  return `facts${path === '' ? '' : `.${path}`} holds ${names.join(', ')}`;
}

/** `int > string` and the like in words: the types that an operator does not take together. */
export function wrongTypes(summary: string): { message: string; hint: string | undefined } | undefined {
  const match = /^no such overload: (\S+) (\S+) (\S+)$/.exec(summary);
  if (match === null) return undefined;
  const [, left, operator, right] = match as unknown as [string, string, string, string];
  const message = `${typeWords(left)} and ${typeWords(right)} can not stand on the sides of ${operator}`;
  const map = [left, right].find((type) => type.startsWith('$facts'));
  if (map !== undefined) return { message, hint: belowHint(map.replace(/^\$facts\.?/, '')) };
  const types = [left, right].sort().join(' ');
  if (types === 'int string')
    return { message, hint: 'write the number without quotes, or int(x) for a text' };
  if (types === 'double int') return { message, hint: 'write double(x) for the whole number' };
  return {
    message,
    hint: operator === '&&' || operator === '||' ? 'compare it: name == "value"' : undefined,
  };
}

function typeWords(type: string): string {
  if (type.startsWith('$facts')) return `${type.slice(1)} (a map)`;
  const words: Readonly<Record<string, string>> = {
    int: 'a whole number',
    double: 'a number with a fraction',
    string: 'a text',
    bool: 'true or false',
    null: 'null',
  };
  return words[type] ?? (/^(list|map)/.exec(type) ? `a ${type.replace(/<.*$/, '')}` : type);
}
