import { ansibleFactHint } from './words.ts';

/** Filters of Jinja's by the one that does the same here, or what to do instead. */
export const jinjaFilters: Readonly<Record<string, string>> = {
  d: '| default: "…"',
  lower: '| downcase',
  upper: '| upcase',
  title: '| capitalize',
  trim: '| strip',
  length: '| size',
  count: '| size',
  int: '| to_integer',
  float: '| times: 1.0',
  string: 'a value becomes text by itself where text is wanted',
  bool: 'write true or false where the variable is defined',
  quote: 'no shell reads what is written; write an argument for each word',
  to_json: '| json',
  to_nice_json: '| json: 2',
  to_yaml: '| json, which YAML reads as well',
  to_nice_yaml: '| json, which YAML reads as well',
  from_json: 'write the value into vars as YAML',
  from_yaml: 'write the value into vars as YAML',
  unique: '| uniq',
  union: '| concat: other | uniq',
  sum_attribute: '| sum: "key"',
  flatten: '| concat: other',
  selectattr: '| where: "key", "value"',
  rejectattr: '| reject: "key", "value"',
  select: '| where_exp: "x", "x > 1"',
  dict2items: '{% for pair in map %}{{ pair[0] }}: {{ pair[1] }}{% endfor %}',
  items2dict: 'write a map into vars',
  combine: 'write the keys out in vars',
  ternary: '{% if condition %}a{% else %}b{% endif %}',
  mandatory: 'leave it out: an undefined variable is an error anyway',
  regex_replace: '| replace: "text", "other", without patterns',
  regex_search: 'conditions have matches("pattern")',
  b64encode: '| base64_encode',
  b64decode: '| base64_decode',
  hash: '| sha256',
  basename: '| split: "/" | last',
  indent: 'write the blanks in front of each line in a {% for %}',
  min: '| sort | first',
  max: '| sort | last',
  batch: '{% for %} with {% cycle %}',
  format: '| append: and | prepend:',
  strftime: 'times differ from plan to plan; write them into vars',
};

/** Tags of Jinja's, likewise. */
export const jinjaTags: Readonly<Record<string, string>> = {
  set: 'write {% assign name = value %}',
  elif: 'write {% elsif condition %}',
  include: 'a template can not reach other files; write it into this one',
  import: 'a template can not reach other files; write it into this one',
  from: 'a template can not reach other files; write it into this one',
  extends: 'a template can not reach other files; write it into this one',
  block: 'a template can not reach other files; write it into this one',
  render: 'a template can not reach other files; write it into this one',
  macro: 'there are no macros; a {% for %} over a list repeats text',
  call: 'there are no macros; a {% for %} over a list repeats text',
  filter: 'write {% capture name %}…{% endcapture %}{{ name | filter }}',
  do: 'write {% assign name = value %}',
  with: 'write {% assign name = value %}',
  endset: 'write {% capture name %}…{% endcapture %}',
};

/** By the message of the engine and the text on both sides of `▸`, where it stopped: what to write instead. */
const stops: readonly (readonly [RegExp, (match: RegExpExecArray) => string])[] = [
  [/\|\s*(\w+)\s*▸\(([^()]*)\)/, ([, name, args]) => `write | ${name}: ${args!.trim()}`],
  [/\|\s*(\w+)\s*▸\(/, ([, name]) => `a filter's arguments stand behind a colon: | ${name}: …`],
  [/(?:▸~|~▸)\s*([\w.]+|"[^"]*"|'[^']*')/, ([, what]) => `write | append: ${what}`],
  [
    /(?:▸\+|\+▸)\s*([\w.]+|"[^"]*"|'[^']*')/,
    ([, what]) => `write | plus: ${what} for numbers, | append: ${what} for texts`,
  ],
  [/(?:▸-|-▸)\s*([\w.]+)/, ([, what]) => `write | minus: ${what}`],
  [/(?:▸\*|\*▸)\s*([\w.]+)/, ([, what]) => `write | times: ${what}`],
  [/(?:▸\/\/?|\/\/?▸)\s*([\w.]+)/, ([, what]) => `write | divided_by: ${what}`],
  [/(?:▸%|%▸)\s*([\w.]+)/, ([, what]) => `write | modulo: ${what}`],
  [/\.(\w+)\([^()]*▸/, ([, name]) => `values have no methods; filters do that: | ${filterFor(name!)}`],
  [
    /\b(\w+)\s*\([^()]*▸/,
    ([, name]) => `there are no functions such as ${name}(); write the value into vars`,
  ],
  [/▸if\b.*\belse\b/s, () => 'write {% if condition %}a{% else %}b{% endif %}'],
  [/▸is\s+(not\s+)?(defined|undefined)/, () => 'write | default: "…" for a variable that may be undefined'],
  [/▸is\b/, () => 'there are no tests; compare with == or !='],
  [/▸(not\s+)?in\b/, () => 'write list contains x'],
];

function filterFor(method: string): string {
  const known = jinjaFilters[method];
  return known?.startsWith('| ') ? known.slice(2) : method;
}

/** The hint for where the engine stopped reading, or undefined where it was no habit. */
export function stopHint(text: string, offset: number): string | undefined {
  // A line on each side says enough, and a pattern has little to search.
  const around = `${text.slice(Math.max(0, offset - 120), offset)}▸${text.slice(offset, offset + 200)}`;
  for (const [pattern, hint] of stops) {
    const match = pattern.exec(around);
    if (match !== null) return hint(match);
  }
  return undefined;
}

/** What to use instead of a variable that only Ansible has. */
export function undefinedInTemplate(name: string): string | undefined {
  if (name === 'hostvars') return 'a host sees its own variables; write what all need into a group';
  if (name === 'ansible_hostname' || name === 'ansible_nodename' || name === 'ansible_fqdn')
    return 'write inventory_hostname';
  const fact = ansibleFactHint(name);
  return fact === undefined ? undefined : `${fact} says it, in conditions only: facts come after templates`;
}
