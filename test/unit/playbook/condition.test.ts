import { describe, expect, it } from 'vitest';
import type { HostFacts } from '../../../src/facts/facts.ts';
import { literal } from '../../../src/playbook/compiled.ts';
import { compileCondition } from '../../../src/playbook/condition.ts';
import { Problem, UnknownYet } from '../../../src/playbook/problem.ts';
import { Scope } from '../../../src/playbook/scope.ts';

function scope(variables: Record<string, unknown>, complete = true): Scope {
  return new Scope([new Map(Object.entries(variables).map(([k, v]) => [k, literal(v)]))], complete);
}

const decide = (text: string, variables: Record<string, unknown> = {}) =>
  compileCondition(text).decide(scope(variables));

function problemOf(work: () => unknown): { code: string; offset: number } {
  try {
    work();
  } catch (error) {
    if (error instanceof Problem) return { code: error.code, offset: error.offset };
    throw error;
  }
  throw new Error('no problem');
}

describe('what variables decide', () => {
  it.for<[string, Record<string, unknown>, boolean]>([
    ['a > 3', { a: 4 }, true],
    ['a == "x" || b', { a: 'y', b: true }, true],
    ['"c" in vars', { a: 1 }, false],
    ['"a" in vars && a == 1', { a: 1 }, true],
    ['words.exists(x, x == "q")', { words: ['p', 'q'] }, true],
    ['disks.all(x, x.size > 1)', { disks: [{ size: 1 }] }, false],
    ['has(map.key)', { map: {} }, false],
    ['1.5 < ratio', { ratio: 2.5 }, true],
    ['name.startsWith("hv")', { name: 'hv01' }, true],
    ['(a + 1) * 2 == 6', { a: 2 }, true],
    ['a - (b - (1)) == (a - b + 1)', { a: 7, b: 3 }, true],
    ['on && word == (on ? "(" : ")")', { on: true, word: '(' }, true],
    ['( (a > 3) || b) && ((a) == (4 ))', { a: 4, b: false }, true],
  ])('%s with %j is %s', ([text, variables, answer]) => {
    expect(decide(text, variables)).toBe(answer);
  });
});

describe('semver over releases and distribution versions', () => {
  it.for<[string, string, boolean]>([
    ['6.12.117+deb13-amd64', '>=6.12', true],
    ['5.14.0-503.el9.x86_64', '>=5.10 <6', true],
    ['6.1.0-41-amd64', '>=6.2', false],
    ['1:8.2.1+dfsg-2', '>=8', true],
  ])('semver("%s", "%s")', ([version, range, answer]) => {
    expect(decide('semver(version, range)', { version, range })).toBe(answer);
  });
});

describe('with facts partly known', () => {
  const facts = { cpus: 4, os: { id: 'debian' } } as never;
  it('a side that decides makes the facts needless', () => {
    expect(decide('off && facts.cpus > 1', { off: false })).toBe(false);
    expect(decide('facts.cpus > 1 || on', { on: true })).toBe(true);
    expect(decide('facts.cpus > 1 && off', { off: false })).toBe(false);
  });
  it.for<[string, boolean]>([
    ['on && facts.cpus > 1', true],
    ['(facts.cpus > 8 || on) && facts.os.id == "debian"', true],
    ['facts.cpus > 8 || facts.os.id == "sles"', false],
    ['facts.cpus == n', true],
  ])('%s asks them', ([text, answer]) => {
    const decision = decide(text, { on: true, n: 4 });
    expect(decision).toBeTypeOf('function');
    expect((decision as (f: never) => boolean)(facts)).toBe(answer);
  });
});

describe('strict', () => {
  it('an undefined variable is an error, but where what stands before it decides', () => {
    const missing = { code: 'E_UNDEFINED_VARIABLE', offset: 5 };
    expect(problemOf(() => decide('a || missing', { a: false }))).toEqual(missing);
    expect(problemOf(() => decide('a && missing', { a: true }))).toEqual(missing);
    expect(decide('"gpu" in vars && gpu > 1', { a: 1 })).toBe(false);
  });
  it('without an inventory it is unknown yet, also for `in vars`', () => {
    expect(() => compileCondition('missing').decide(scope({}, false))).toThrow(UnknownYet);
    expect(() => compileCondition('"x" in vars').decide(scope({}, false))).toThrow(UnknownYet);
  });
  it.for<[string, number]>([
    ['a ==', 4],
    ['facts.nothing', 6],
    ['facts.cpus + 1', 0],
    ['"text"', 0],
    ['semvr("1", "2")', 0],
    ['semver("1.0", "x y")', 14],
    ['{{ a }}', 0],
  ])('%s is no condition', ([text, offset]) => {
    expect(problemOf(() => compileCondition(text))).toEqual({ code: 'E_CONDITION', offset });
  });
  it('text is neither true nor false', () => {
    expect(problemOf(() => decide('a', { a: 'yes' })).code).toBe('E_CONDITION');
  });
  it('an expression too large is refused', () => {
    expect(problemOf(() => compileCondition(Array(3000).fill('a').join(' || '))).code).toBe('E_CONDITION');
    expect(problemOf(() => compileCondition(`${'('.repeat(5000)}a${')'.repeat(5000)}`)).code).toBe(
      'E_CONDITION',
    );
  });
});

describe('an answer that takes too long', () => {
  const slow = `${'a'.repeat(60)}!`;
  it('is a problem of the condition, said once for all hosts', () => {
    const condition = compileCondition('true && text.matches("^(a+)+$")');
    const started = Date.now();
    for (let host = 0; host < 5; host++)
      expect(problemOf(() => condition.decide(scope({ text: slow })))).toEqual({
        code: 'E_CONDITION',
        offset: 8,
      });
    expect(Date.now() - started).toBeLessThan(4000);
  });

  it('by a host is a problem of that host alone', () => {
    const decision = compileCondition('facts.hostname.matches("^(a+)+$")').decide(scope({}));
    if (typeof decision === 'boolean') throw new Error('decided without facts');
    const host = (hostname: string) => ({ hostname }) as unknown as HostFacts;
    expect(problemOf(() => decision(host(slow)))).toMatchObject({ code: 'E_CONDITION' });
    expect(decision(host('aaa'))).toBe(true);
  });

  it('loops in loops', () => {
    const list = `[${Array.from({ length: 10 }, (_, index) => index).join(', ')}]`;
    const nested = [...'abcdefgh'].reduce((inner, name) => `${list}.all(${name}, ${inner})`, 'n > 0');
    expect(problemOf(() => decide(nested, { n: 1 }))).toMatchObject({ code: 'E_CONDITION' });
  });
});
