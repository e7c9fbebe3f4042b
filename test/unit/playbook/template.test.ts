import { describe, expect, it } from 'vitest';
import { literal } from '../../../src/playbook/compiled.ts';
import { Problem } from '../../../src/playbook/problem.ts';
import { Scope } from '../../../src/playbook/scope.ts';
import { compileTemplate } from '../../../src/playbook/template.ts';

function render(text: string, variables: Record<string, unknown> = {}, typed = false): unknown {
  const layer = new Map(Object.entries(variables).map(([k, v]) => [k, literal(v)]));
  return compileTemplate(text).render(new Scope([layer], true), typed);
}

function problemOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (error instanceof Problem) return `${error.code} ${error.offset}`;
    throw error;
  }
  throw new Error('no problem');
}

describe('renders', () => {
  it.for<[string, Record<string, unknown>, string]>([
    ['a {{ b }} c', { b: 1 }, 'a 1 c'],
    ['{% for d in disks %}{{ d }};{% endfor %}', { disks: ['x', 'y'] }, 'x;y;'],
    ['{% if on %}yes{% else %}no{% endif %}', { on: false }, 'no'],
    ['{{ m.k | upcase }}', { m: { k: 'v' } }, 'V'],
    ['{{ gone | default: "x" }}', {}, 'x'],
    ['{{ m.gone | default: 3 }}', { m: {} }, '3'],
    ['{{ list | join: "," }} {{ map | json }}', { list: [1, 2], map: { a: 1 } }, '1,2 {"a":1}'],
    ['$(id) `id` \'"\\ \u202e', {}, '$(id) `id` \'"\\ \u202e'],
  ])('%s', ([text, variables, result]) => {
    expect(render(text, variables)).toBe(result);
  });

  it('what a variable holds is not a template', () => {
    expect(render('{{ a }}', { a: '{{ b }}', b: 1 })).toBe('{{ b }}');
  });

  it.for<[unknown]>([[[1, 2]], [{ a: 1 }], [7], [true], ['text']])('%j keeps its type alone', ([value]) => {
    expect(render('{{ v }}', { v: value }, true)).toEqual(value);
  });
});

describe('refuses', () => {
  it.for<[string, Record<string, unknown>, string]>([
    ['x {{ gone }}', {}, 'E_UNDEFINED_VARIABLE 5'],
    ['{{ m.gone }}', { m: {} }, 'E_UNDEFINED_VARIABLE 3'],
    ['{% if false %}{{ gone }}{% endif %}', {}, 'E_UNDEFINED_VARIABLE 17'],
    ['{{ list }}', { list: [1] }, 'E_TEMPLATE 0'],
    ['{{ empty_one }}', { empty_one: null }, 'E_TEMPLATE 0'],
    ['{{ m.constructor }}', { m: {} }, 'E_UNDEFINED_VARIABLE 3'],
    ['{{ m.__proto__ }}', { m: {} }, 'E_UNDEFINED_VARIABLE 3'],
    ['{{ a', { a: 1 }, 'E_TEMPLATE 0'],
    ['{{ a + 1 }}', { a: 1 }, 'E_TEMPLATE 6'],
    ["{% render 'x' %}", {}, 'E_TEMPLATE 0'],
    ["{% include '/etc/passwd' %}", {}, 'E_TEMPLATE 0'],
    ['{{ "now" | date: "%s" }}', {}, 'E_TEMPLATE 0'],
    ['{{ facts.hostname }}', {}, 'E_TEMPLATE 3'],
  ])('%s', ([text, variables, problem]) => {
    expect(problemOf(() => render(text, variables))).toBe(problem);
  });

  it('a template that would not end in time', { timeout: 30_000 }, () => {
    const huge = '{% for a in (1..100000) %}{% for b in (1..100000) %}xxxxxxxxxx{% endfor %}{% endfor %}';
    expect(problemOf(() => render(huge))).toMatch(/^E_TEMPLATE /);
  });
});
