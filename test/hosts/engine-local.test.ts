import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { runFleet } from '../../src/engine/run.ts';
import type { Command, FleetEvent } from '../../src/events/events.ts';
import type { Host } from '../../src/inventory/host.ts';
import { FleetError } from '../../src/lib/errors.ts';
import type { Declaration } from '../../src/playbook/declaration.ts';
import { command } from '../../src/resources/command/index.ts';
import { defineKind } from '../../src/resources/kind.ts';
import type { Connection, Transport } from '../../src/transport/connection.ts';
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

/** A file as another one is when it is planned, which a task before it may yet change. */
const copy = defineKind<{ from: string; to: string; provisional: boolean }, [string, string]>({
  kind: 'copy',
  summary: '',
  example: '',
  schema: z.object({ from: z.string(), to: z.string(), provisional: z.boolean() }),
  probe: (inputs) =>
    inputs
      .map(
        ({ desired: { from, to } }, index) =>
          `bf_b ${index}; cat ${from} 2>/dev/null; echo; cat ${to} 2>/dev/null; bf_e ${index} 0\n`,
      )
      .join(''),
  parse: (output) => {
    const [from = '', to = ''] = output.toString().split('\n');
    return [from, to];
  },
  plan: ({ desired: { to: path, provisional } }, [from, to]) =>
    from === to
      ? { status: 'ok', reason: 'the same', notes: [`it is ${to}`], guestVisible: { text: to } }
      : { status: 'change', changes: [{ path, from: to, to: from, action: '~' }], provisional },
  steps: ({ desired: { to } }, [from]) => [{ title: 'copy', script: `printf '%s' '${from}' > ${to}` }],
});

interface RunOptions {
  transport?: Transport;
  signal?: AbortSignal;
  onEvent?: (event: FleetEvent) => void;
  names?: string[];
  serial?: number[];
  maxFailPercentage?: number;
}

async function run(verb: Command, tasks: Declaration[], options: RunOptions = {}) {
  const events: FleetEvent[] = [];
  const { names = ['here'], serial = [], maxFailPercentage = 100 } = options;
  const host = (name: string) => ({ name, groups: [], connection: { address: 'local' }, vars: {} });
  const play = {
    name: 'p',
    index: 0,
    hosts: names,
    serial,
    maxFailPercentage,
    declarations: () => tasks,
  };
  const transport = options.transport ?? createLocalTransport();
  const { report } = await runFleet({
    command: verb,
    runId: `test-${process.pid}`,
    plays: [play],
    hosts: new Map(names.map((name) => [name, host(name)])),
    kinds: new Map([
      ['command', command],
      ['copy', copy],
    ]),
    transport,
    sink: (event) => {
      events.push(event);
      options.onEvent?.(event);
    },
    signal: options.signal ?? new AbortController().signal,
  });
  await transport.close();
  return { report, host: report.hosts[0]!, events };
}

/** A link that breaks once, when the host has said that the job was launched and before a byte of its log was seen. */
function breakingAtLaunch(): Transport & { broken: number } {
  const inner = createLocalTransport();
  const transport = {
    broken: 0,
    async connect(host: Host): Promise<Connection> {
      const connection = await inner.connect(host);
      const run = connection.run.bind(connection);
      connection.run = async (request) => {
        if (!request.streamId || transport.broken > 0) return run(request);
        const { onChunk: _, ...blind } = request;
        await run({ ...blind, isLast: (frame) => frame.id === 'launch' });
        transport.broken++;
        await connection.close();
        throw new FleetError({ code: 'E_UNREACHABLE', message: 'the link broke', host: host.name });
      };
      return connection;
    },
    close: () => inner.close(),
  };
  return transport;
}

/** This machine under every name but `down`, which nobody can reach. */
function withOneDown(): Transport {
  const inner = createLocalTransport();
  return {
    async connect(host) {
      if (host.name !== 'down') return inner.connect(host);
      throw new FleetError({ code: 'E_UNREACHABLE', message: 'no route', host: host.name });
    },
    close: () => inner.close(),
  };
}

const linesOf = (path: string) => readFileSync(path, 'utf8').trim().split('\n').length;

describe('the engine on this machine', () => {
  it('a plan that was made before all was known is finished by a further job; another one has failed', async () => {
    const [from, to, other] = ['from', 'to', 'other'].map((name) => join(folder, name)) as [
      string,
      string,
      string,
    ];
    writeFileSync(from, 'old');
    const tasks = (path: string, provisional: boolean) => [
      task('change it', { argv: ['sh', '-c', `printf new > ${from}`] }),
      task(
        'copy it',
        { argv: ['true'] },
        { kind: 'copy', input: { desired: { from, to: path, provisional }, assets: {} } },
      ),
    ];
    const { host } = await run('apply', tasks(to, true));
    expect(host.error).toBe(null);
    expect(readFileSync(to, 'utf8')).toBe('new');
    // What is told is of the host as it is now.
    expect(host.tasks[1]).toMatchObject({
      status: 'changed',
      notes: ['it is new'],
      guestVisible: { text: 'new' },
    });
    writeFileSync(from, 'old');
    const strict = await run('apply', tasks(other, false));
    expect(strict.host.error).toMatchObject({ code: 'E_VERIFY' });
  });

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

  it('applies what an applied task put out of sync, and what that notifies', async () => {
    const made = join(folder, 'made');
    const told = join(folder, 'told');
    const rang = join(folder, 'rang');
    const inSync = ['sh', '-c', `! test -e ${made} || test -e ${told}`];
    const tasks = [
      task('make it', { argv: ['touch', made], creates: made }),
      task('follows', { argv: ['touch', told], unless: inSync }, { notify: ['ring'] }),
      task('ring', { argv: ['touch', rang] }, { handler: true }),
    ];
    const { host } = await run('apply', tasks);
    expect(host.tasks.map((t) => [t.task, t.status])).toEqual([
      ['make it', 'changed'],
      ['follows', 'changed'],
      ['ring', 'changed'],
    ]);
    expect(existsSync(rang)).toBe(true);
    expect((await run('plan', tasks)).host.status).toBe('ok');
  });

  it('runs a job once whose link broke right after the launch', async () => {
    const log = join(folder, 'log');
    const transport = breakingAtLaunch();
    const { host } = await run('apply', [task('say', { argv: ['sh', '-c', `sleep 2; echo x >> ${log}`] })], {
      transport,
    });
    expect(transport.broken).toBe(1);
    expect(host.status).toBe('changed');
    expect(linesOf(log)).toBe(1);
    expect(existsSync('/var/lib/blkfleet/jobs')).toBe(false);
  });

  it('leaves a job to itself when interrupted, and the next run collects it', async () => {
    const made = join(folder, 'made');
    const tasks = [task('slow', { argv: ['sh', '-c', `sleep 3; echo x >> ${made}`], creates: made })];
    const interrupt = new AbortController();
    const { host, events } = await run('apply', tasks, {
      signal: interrupt.signal,
      onEvent: (event) => {
        if (event.type === 'task-started') setTimeout(() => interrupt.abort('SIGINT'), 200);
      },
    });
    const told = events.find((e) => e.type === 'interrupted');
    expect(told).toMatchObject({ signal: 'SIGINT', running: [{ host: 'here' }] });
    expect(host).toMatchObject({ status: 'failed', error: { code: 'E_INTERRUPTED' } });
    expect(existsSync(made)).toBe(false);
    const next = await run('apply', tasks);
    expect(next.host.status).toBe('ok');
    expect(linesOf(made)).toBe(1);
    expect(existsSync('/var/lib/blkfleet/jobs')).toBe(false);
  });

  it('gives up on a host that sends without end', async () => {
    const inner = createLocalTransport();
    const flooding: Transport = {
      async connect(host) {
        const connection = await inner.connect(host);
        const run = connection.run.bind(connection);
        connection.run = async (request) => {
          if (!request.streamId) return run(request);
          throw new FleetError({ code: 'E_LIMIT', message: 'too much', host: host.name });
        };
        return connection;
      },
      close: () => inner.close(),
    };
    const { host } = await run('apply', [task('any', { argv: ['true'] })], { transport: flooding });
    expect(host).toMatchObject({ status: 'failed', error: { code: 'E_LIMIT' } });
  });

  it.each([
    ['the budget is spent already', { names: ['here', 'down'], maxFailPercentage: 30 }],
    ['the canary is not all there', { names: ['here', 'down', 'third'], serial: [2, 1] }],
  ])('changes nothing where %s by hosts that can not be reached', async (_, options) => {
    const made = join(folder, 'made');
    const tasks = [task('make it', { argv: ['touch', made], creates: made })];
    const { report, events } = await run('apply', tasks, { ...options, transport: withOneDown() });
    expect(report.summary).toMatchObject({ unreachable: 1, changed: 0, pending: options.names.length - 1 });
    expect(existsSync(made)).toBe(false);
    expect(events.filter((e) => e.type === 'warning' && e.message.startsWith('stopped before'))).toHaveLength(
      1,
    );
  });

  it('does not contact a host after an interrupt', async () => {
    const interrupt = new AbortController();
    interrupt.abort('SIGTERM');
    const { host, report } = await run('plan', [task('any', { argv: ['true'] })], {
      signal: interrupt.signal,
    });
    expect(host).toMatchObject({ status: 'skipped', tasks: [], error: null });
    expect(report.summary).toMatchObject({ hosts: 1, ok: 0 });
  });
});

it('a job that can not start says why, and that nothing goes on there', async () => {
  const local = createLocalTransport();
  const transport: Transport = {
    connect: async (host, signal) => {
      const connection = await local.connect(host, signal);
      return new Proxy(connection, {
        get: (target, name) => {
          if (name === 'run')
            return (request: Parameters<Connection['run']>[0]) =>
              // For `command -v`: a host without flock.
              target.run({ ...request, body: ['command() { [ "$2" != flock ]; }\n', ...request.body] });
          const value = Reflect.get(target, name, target);
          return typeof value === 'function' ? value.bind(target) : value;
        },
      });
    },
    close: () => local.close(),
  };
  const mark = join(folder, 'mark');
  const { host } = await run('apply', [task('touch', { argv: ['touch', mark], creates: mark })], {
    transport,
  });
  expect(host).toMatchObject({ status: 'failed', error: { code: 'E_STEP' } });
  expect(host.error!.message).toContain('flock');
  expect(host.error!.hint).not.toContain('goes on');
  expect(existsSync(mark)).toBe(false);
});
