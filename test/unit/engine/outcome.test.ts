import { expect, it } from 'vitest';
import { type PlannedTask, reportTask } from '../../../src/engine/host-plan.ts';
import { parseResult } from '../../../src/engine/job-log.ts';
import { taskOutcome, verifyOutcome } from '../../../src/engine/outcome.ts';

const planned = (task: string): PlannedTask => ({
  declaration: {
    play: 'p',
    playIndex: 0,
    task,
    handler: false,
    kind: 'command',
    at: { file: 'p.yaml', line: 1, col: 1 },
    input: { desired: {}, assets: {} },
    become: true,
    tags: [],
    notify: [],
  },
  verdict: { status: 'change', changes: [] },
  steps: [],
});
const step = { title: 's', script: 'true' };
const [first, second, third] = [planned('first'), planned('second'), planned('third')];
const steps = [first, second, second, third].map((task) => ({ task, step }));

function outcomes(result: string) {
  return [first, second, third].map((task) => {
    const { status, error } = taskOutcome('hv1', task, steps, parseResult(Buffer.from(result)), new Map());
    return error ? [status, error.code] : [status];
  });
}

it.each([
  ['ok\n0 0\n1 0\n2 0\n3 0\n', [['changed'], ['changed'], ['changed']]],
  ['failed\n0 0\n1 0\n2 7\n', [['changed'], ['failed', 'E_STEP'], ['pending']]],
  ['failed\n0 0\n1 guard\n', [['changed'], ['failed', 'E_CHANGED_SINCE_PLAN'], ['pending']]],
  // Cut short: what was done is done, the task in the middle has failed, those behind it did not begin.
  ['cut\n0 0\n1 0\n', [['changed'], ['failed', 'E_STEP'], ['pending']]],
  ['cut\n', [['failed', 'E_STEP'], ['pending'], ['pending']]],
  ['cut\n0 0\n1 0\n2 0\n3 0\n', [['changed'], ['changed'], ['changed']]],
  // Collected by another run: the probe that follows judges.
  ['gone\n', [['changed'], ['changed'], ['changed']]],
])('%j', (result, expected) => {
  expect(outcomes(result)).toEqual(expected);
});

it('what no probe can tell is a failure where another run took the result away', () => {
  const task = { ...first, verdict: { status: 'change' as const, changes: [], unpredictable: true } };
  const report = taskOutcome('hv1', task, [{ task, step }], parseResult(Buffer.from('gone\n')), new Map());
  expect(report).toMatchObject({ status: 'failed', error: { code: 'E_STEP' } });
});

it('an applied task of which the rest must wait is pending, not changed', () => {
  const change = { path: 'loaded', from: 'live', to: null, action: '-' as const };
  const held = { status: 'held' as const, state: 'pending-drain', reason: 'in use', changes: [change] };
  const applied = { ...reportTask(first, 'hv1'), status: 'changed' as const };
  expect(verifyOutcome('hv1', { ...first, verdict: held }, applied)).toMatchObject({
    status: 'pending',
    reason: 'pending-drain: in use',
    diff: [{ path: 'loaded', to: null }],
    error: null,
  });
});
