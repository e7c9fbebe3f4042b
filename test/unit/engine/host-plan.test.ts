import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { planHost, reportTask } from '../../../src/engine/host-plan.ts';
import { buildProbe } from '../../../src/engine/probe.ts';
import { FleetError } from '../../../src/lib/errors.ts';
import type { Declaration } from '../../../src/playbook/declaration.ts';
import type { PlanContext, ResourceKind, ResourcePlan } from '../../../src/resources/kind.ts';
import { debianFacts } from '../resources/facts.ts';

const change: ResourcePlan = {
  status: 'change',
  changes: [{ path: 'x', from: 'a', to: 'b', action: '~' }],
};

/** A kind whose verdict is what the test declares; it notes the contexts that it was planned in. */
function fixed(contexts: PlanContext[] = []): ResourceKind {
  return {
    kind: 'fixed',
    summary: '',
    schema: z.any(),
    example: '',
    probe: (inputs) => inputs.map((_, i) => `bf_b ${i}; bf_e ${i} 0`).join('\n'),
    parse: (output) => output.toString(),
    plan: (input, _current, context) => {
      contexts.push(context);
      if (input.desired instanceof Error) throw input.desired;
      return input.desired as ResourcePlan;
    },
    steps: () => [{ title: 's', script: 'true' }],
  };
}

function task(name: string, verdict: unknown, more: Partial<Declaration> = {}): Declaration {
  return {
    play: 'p',
    playIndex: 0,
    task: name,
    handler: false,
    kind: 'fixed',
    at: { file: 'p.yaml', line: 3, col: 5 },
    input: { desired: verdict, assets: {} },
    become: true,
    tags: [],
    notify: [],
    ...more,
  };
}

function factsWithHeaders() {
  const facts = debianFacts();
  facts.kernel.installed = facts.kernel.installed.map((kernel) => ({ ...kernel, headers: true }));
  return facts;
}

function plan(tasks: Declaration[], contexts: PlanContext[] = [], answered = tasks.length) {
  const kinds = new Map([['fixed', fixed(contexts)]]);
  const probe = buildProbe(tasks, kinds);
  const frames = new Map(
    tasks.slice(0, answered).map((t) => {
      const id = probe.slots.get(t)!.frame;
      return [id, { id, rc: 0, body: Buffer.from('') }];
    }),
  );
  return planHost(tasks, factsWithHeaders(), frames, probe, kinds).tasks;
}

describe('the plan of a host', () => {
  it('has a handler only where a task that changes notifies it, in the same play', () => {
    const ok = { status: 'ok', reason: 'same' };
    const tasks = [
      task('a', change, { notify: ['h1'] }),
      task('b', ok, { notify: ['h2'] }),
      task('h1', change, { handler: true }),
      task('h2', change, { handler: true }),
      task('h1', change, { handler: true, playIndex: 1 }),
    ];
    expect(plan(tasks).map((t) => [t.declaration.task, t.declaration.playIndex])).toEqual([
      ['a', 0],
      ['b', 0],
      ['h1', 0],
    ]);
  });

  it('shows to each task the facts as those before it leave them', () => {
    const contexts: PlanContext[] = [];
    const { release } = debianFacts().kernel;
    const patched = { ...change, facts: { headersRemoved: [release], modulesBuilt: ['m'] } };
    plan([task('a', patched), task('b', change)], contexts);
    const seen = contexts.map((c) => [
      c.facts.kernel.installed.find((k) => k.release === release)!.headers,
      [...(c.modulesBuilt ?? [])],
    ]);
    expect(seen).toEqual([
      [true, []],
      [false, ['m']],
    ]);
  });

  it('skips what its condition leaves out', () => {
    const [only] = plan([task('a', change, { when: () => false })]);
    expect(only!.verdict.status).toBe('skipped');
    expect(only!.steps).toEqual([]);
  });

  it('turns nonsense of the host into an error of that task, and bugs into bugs', () => {
    const bad = new FleetError({ code: 'E_PROBE', message: 'nonsense' });
    const tasks = plan([task('a', bad), task('b', change)]);
    expect(reportTask(tasks[0]!, 'hv1')).toMatchObject({
      status: 'failed',
      error: { code: 'E_PROBE', host: 'hv1', task: 'a', at: { line: 3 } },
    });
    expect(tasks[1]!.verdict.status).toBe('change');
    expect(() => plan([task('a', new TypeError('ours'))])).toThrow(TypeError);
  });

  it('fails a task that the probe did not answer', () => {
    const tasks = plan([task('a', change), task('b', change)], [], 1);
    expect(reportTask(tasks[1]!, 'hv1')).toMatchObject({ status: 'failed', error: { code: 'E_PROBE' } });
  });
});
