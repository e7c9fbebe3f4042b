import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { runFleet } from '../../src/engine/run.ts';
import type { Command, FleetEvent } from '../../src/events/events.ts';
import type { Declaration } from '../../src/playbook/declaration.ts';
import { command } from '../../src/resources/command/index.ts';
import { createLocalTransport } from '../../src/transport/index.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'blkfleet-engine-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function task(name: string, desired: object, more: Partial<Declaration> = {}): Declaration {
  return {
    play: 'p',
    playIndex: 0,
    task: name,
    handler: false,
    kind: 'command',
    at: { file: 'p.yaml', line: 1, col: 1 },
    input: { desired: command.schema.parse(desired), assets: {} },
    become: false,
    tags: [],
    notify: [],
    ...more,
  };
}

async function run(verb: Command, tasks: Declaration[]) {
  const events: FleetEvent[] = [];
  const host = { name: 'here', groups: [], connection: { address: 'local' }, vars: {} };
  const play = {
    name: 'p',
    index: 0,
    hosts: ['here'],
    serial: [],
    maxFailPercentage: 100,
    declarations: () => tasks,
  };
  const transport = createLocalTransport();
  const { report } = await runFleet({
    command: verb,
    runId: `test-${process.pid}`,
    plays: [play],
    hosts: new Map([['here', host]]),
    kinds: new Map([['command', command]]),
    transport,
    sink: (event) => events.push(event),
    signal: new AbortController().signal,
  });
  await transport.close();
  return { report, host: report.hosts[0]!, events };
}

describe('the engine on this machine', () => {
  it('plans, applies as a detached job, verifies, and has nothing to do then', async () => {
    const made = join(folder, 'made');
    const tasks = [task('make it', { argv: ['touch', made], creates: made })];
    const plan = await run('plan', tasks);
    expect(plan.host).toMatchObject({ status: 'pending', changes: 1, error: null });
    expect(existsSync(made)).toBe(false);
    const apply = await run('apply', tasks);
    expect(apply.host.error).toBe(null);
    expect(apply.host.status).toBe('changed');
    expect(apply.host.tasks.map((t) => t.diff)).toEqual(plan.host.tasks.map((t) => t.diff));
    expect(existsSync(made)).toBe(true);
    const again = await run('apply', tasks);
    expect(again.report.summary).toEqual({
      hosts: 1,
      ok: 1,
      changed: 0,
      failed: 0,
      unreachable: 0,
      pending: 0,
    });
    expect(existsSync('/var/lib/blkfleet/jobs')).toBe(false);
    expect(existsSync('/run/blkfleet/lock')).toBe(false);
  });

  it('stops the host at a failed step, shows its last lines, and runs nothing behind it', async () => {
    const never = join(folder, 'never');
    const { host, events } = await run('apply', [
      task('breaks', { argv: ['sh', '-c', 'echo one; echo two >&2; exit 7'] }),
      task('behind it', { argv: ['touch', never], creates: never }),
    ]);
    expect(host.status).toBe('failed');
    expect(host.tasks[0]).toMatchObject({ status: 'failed', error: { code: 'E_STEP', task: 'breaks' } });
    expect(host.tasks[0]!.log).toEqual(expect.arrayContaining(['one', 'two']));
    expect(host.tasks[1]!.status).toBe('pending');
    expect(existsSync(never)).toBe(false);
    expect(events.some((e) => e.type === 'task-line' && e.line === 'one')).toBe(true);
  });

  it('runs a handler only where a task that notifies it changes', async () => {
    const made = join(folder, 'made');
    const told = join(folder, 'told');
    const tasks = [
      task('make it', { argv: ['touch', made], creates: made }, { notify: ['tell'] }),
      task('tell', { argv: ['touch', told] }, { handler: true }),
    ];
    expect((await run('apply', tasks)).host.tasks.map((t) => [t.task, t.status])).toEqual([
      ['make it', 'changed'],
      ['tell', 'changed'],
    ]);
    expect(existsSync(told)).toBe(true);
    expect((await run('plan', tasks)).host).toMatchObject({ status: 'ok', changes: 0 });
  });
});
