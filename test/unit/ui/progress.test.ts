import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { FleetEvent } from '../../../src/events/events.ts';
import { displayWidth } from '../../../src/lib/terminal.ts';
import { confirm } from '../../../src/ui/confirm.ts';
import { wrap } from '../../../src/ui/layout.ts';
import { frameLines } from '../../../src/ui/live/frame.ts';
import { createPaint, wantsColour } from '../../../src/ui/paint.ts';
import { canRedraw, createProgress } from '../../../src/ui/progress.ts';
import { RunState } from '../../../src/ui/run-state.ts';
import { failedTask, host, hostile, task } from './reports.ts';

/** A stream that is no terminal and keeps what it is given. */
function pipe(extra: object = {}): { stream: NodeJS.WriteStream; text: () => string } {
  const stream = new PassThrough();
  let text = '';
  stream.on('data', (chunk) => {
    text += chunk;
  });
  return { stream: Object.assign(stream, extra) as unknown as NodeJS.WriteStream, text: () => text };
}

const at = 1_000_000;
const start: FleetEvent = {
  type: 'run-started',
  at,
  runId: 'r1',
  command: 'apply',
  playbook: 'site.yaml',
  hosts: ['hv01', 'hv02'],
};
const taskStart: FleetEvent = {
  type: 'task-started',
  at,
  host: 'hv01',
  play: 'p',
  task: 'vhost-blk',
  kind: 'dkms',
};

describe('plain progress', () => {
  beforeEach(() => {
    vi.useFakeTimers({ now: at });
  });
  afterEach(() => {
    vi.useRealTimers();
    vi.unstubAllEnvs();
  });

  function feed(events: FleetEvent[], verbose = 0) {
    vi.stubEnv('FORCE_COLOR', undefined);
    const { stream, text } = pipe();
    const progress = createProgress({ stream, verbose });
    for (const event of events) progress.sink(event);
    return { text, progress };
  }

  it('prints one line an event that matters', async () => {
    const { text, progress } = feed([
      start,
      { type: 'batch-started', at, play: 'Hypervisors', batch: 1, batches: 2, hosts: ['hv01'], canary: true },
      taskStart,
      { type: 'task-finished', at, host: 'hv01', report: task({ status: 'ok' }) },
      { type: 'task-finished', at, host: 'hv01', report: task({ status: 'changed' }) },
      { type: 'task-finished', at, host: 'hv01', report: failedTask },
      {
        type: 'host-finished',
        at,
        host: 'hv01',
        report: host('hv01', { status: 'failed', tasks: [failedTask] }),
      },
      { type: 'warning', at, host: 'hv02', message: 'taint' },
      { type: 'interrupted', at, signal: 'SIGINT', running: [{ host: 'hv02', job: 'j1' }] },
    ]);
    await progress.stop();
    expect(text().split('\n')).toEqual([
      'apply site.yaml on 2 hosts (run r1)',
      'batch 1/2 (canary) of Hypervisors: hv01',
      '~ hv01 changed file: limits for the service',
      '✗ hv01 failed dkms: vhost-blk 1.0 E_STEP dkms build ended with 10',
      '✗ hv01 failed dkms: vhost-blk 1.0 E_STEP dkms build ended with 10',
      '! warning: hv02: taint',
      '! SIGINT: no new hosts are started; 1 job still running',
      '! hv02 goes on with job j1; the next run collects its result',
      '',
    ]);
  });

  it('says what runs when nothing else was said for five seconds', async () => {
    const { text, progress } = feed([start, taskStart]);
    progress.sink({ type: 'task-line', at, host: 'hv01', task: 'vhost-blk', line: 'CC [M] x.o' });
    progress.sink({ type: 'task-line', at, host: 'hv01', task: 'vhost-blk', line: '' });
    vi.advanceTimersByTime(4000);
    expect(text()).not.toContain('CC [M]');
    vi.advanceTimersByTime(2000);
    expect(text()).toContain('… hv01 dkms: vhost-blk 5s | CC [M] x.o\n');
    vi.advanceTimersByTime(20_000);
    expect(text().match(/CC \[M\]/g)?.length).toBeGreaterThanOrEqual(4);
    await progress.stop();
    const end = text();
    vi.advanceTimersByTime(20_000);
    expect(text()).toBe(end);
  });

  it('names only a few of many hosts in a heartbeat', async () => {
    const events: FleetEvent[] = Array.from({ length: 30 }, (_, index) => ({
      type: 'host-phase',
      at: at + index,
      host: `h${index}`,
      phase: 'connect',
    }));
    const { text, progress } = feed(events);
    vi.advanceTimersByTime(6000);
    expect(text().trimEnd().split('\n')).toHaveLength(5);
    expect(text()).toContain('… 26 more running');
    await progress.stop();
  });

  it('shows each line of a step with verbose 2, escaped', async () => {
    const { text, progress } = feed(
      [taskStart, { type: 'task-line', at, host: 'hv01', task: 'x', line: hostile }],
      2,
    );
    await progress.stop();
    expect(text()).toContain('hv01 | \\x1b]0;owned');
    expect(text()).not.toMatch(/(?!\n)[\p{Cc}\p{Cf}\p{Cs}]/u);
  });
});

describe('frame', () => {
  function busy(hosts: number, failures: number): RunState {
    const state = new RunState();
    const names = Array.from({ length: hosts }, (_, index) => `hv${index}`);
    state.take({ ...start, hosts: names } as FleetEvent);
    for (const name of names) {
      state.take({ ...taskStart, host: name } as FleetEvent);
      state.take({ type: 'task-line', at, host: name, task: 'x', line: hostile });
    }
    for (const name of names.slice(0, failures)) {
      const report = host(name, { status: 'failed', tasks: [failedTask], error: failedTask.error });
      state.take({ type: 'host-finished', at, host: name, report });
    }
    return state;
  }
  const plain = createPaint(false);

  it.each([20, 40, 80, 200])('stays inside %i columns and the rows given', (columns) => {
    for (const rows of [1, 2, 4, 5, 6, 8, 24, 60]) {
      const lines = frameLines(busy(500, 20), at + 5000, { rows, columns }, plain);
      expect(lines.length).toBeGreaterThanOrEqual(1);
      expect(lines.length).toBeLessThanOrEqual(Math.max(rows - 3, 1));
      for (const line of lines) {
        expect(displayWidth(line)).toBeLessThan(columns);
        expect(line).not.toMatch(/[\p{Cc}\p{Cf}\p{Cs}]/u);
      }
    }
  });

  it('counts every host, shown or not', () => {
    const lines = frameLines(busy(500, 20), at, { rows: 24, columns: 200 }, plain);
    expect(lines[0]).toBe('20/500 hosts  ✗ 20 failed  … 480 running');
    const running = lines.filter((line) => line.startsWith('… hv')).length;
    const more = Number(/^… (\d+) more$/.exec(lines.find((line) => line.endsWith(' more'))!)![1]);
    expect(running + more).toBe(480);
    expect(lines.filter((line) => line.startsWith('✗'))).toHaveLength(3);
    expect(lines.at(-3)).toContain('hv19');
  });

  it('shows a small fleet whole', () => {
    const lines = frameLines(busy(3, 0), at + 65_000, { rows: 24, columns: 200 }, plain);
    expect(lines).toHaveLength(5);
    expect(lines[2]).toContain('… hv0 dkms: vhost-blk 1m05s | \\x1b]0;owned');
  });

  it('does not count a planned host as running', () => {
    const state = new RunState();
    state.take({ type: 'host-phase', at, host: 'a', phase: 'plan' });
    state.take({ type: 'plan-ready', at, host: 'a', report: host('a') });
    expect(state.active.size).toBe(0);
  });
});

describe('choice of display and colour', () => {
  const tty = { isTTY: true };
  it.each([
    [tty, {}, true],
    [{}, {}, false],
    [tty, { CI: 'true' }, false],
    [tty, { CI: 'false' }, true],
    [tty, { TERM: 'dumb' }, false],
  ])('redraws on %o with %o: %s', (stream, env, expected) => {
    expect(canRedraw(stream, env)).toBe(expected);
  });
  it.each([
    [tty, {}, true],
    [{}, {}, false],
    [tty, { NO_COLOR: '1' }, false],
    [tty, { NO_COLOR: '' }, true],
    [tty, { TERM: 'dumb' }, false],
    [{}, { FORCE_COLOR: '1' }, true],
    [tty, { FORCE_COLOR: '0' }, false],
    [{}, { FORCE_COLOR: '1', NO_COLOR: '1' }, true],
  ])('colours %o with %o: %s', (stream, env, expected) => {
    expect(wantsColour(stream, env)).toBe(expected);
  });
});

describe('wrap', () => {
  it('loses nothing but blanks at any width', () => {
    const text = "    ~ content  sha256:aaaaaaaaaaaaaaaaaaaa → '/usr/bin/値値値値' --all";
    for (let columns = 2; columns < 90; columns += 1) {
      const lines = wrap(text, columns, 6);
      expect(lines.join('').replaceAll(' ', '')).toBe(text.replaceAll(' ', ''));
      if (columns >= 4) for (const line of lines) expect(displayWidth(line)).toBeLessThanOrEqual(columns);
    }
  });
});

describe('confirm', () => {
  it('never asks without a terminal', async () => {
    const { stream, text } = pipe();
    const input = new PassThrough() as unknown as NodeJS.ReadStream;
    expect(await confirm('go?', { input, output: stream })).toBe(false);
    expect(text()).toBe('');
  });

  it.each([
    ['y\n', true],
    ['YES\n', true],
    ['\n', false],
    ['n\n', false],
    ['yes please\n', false],
    ['\x04', false],
    ['\x03', false],
  ])('takes %j as %s', async (typed, expected) => {
    const { stream } = pipe({ isTTY: true, columns: 80 });
    const input = Object.assign(new PassThrough(), { isTTY: true, setRawMode: () => {} });
    const answer = confirm('go?', { input: input as unknown as NodeJS.ReadStream, output: stream });
    input.write(typed);
    expect(await answer).toBe(expected);
  });

  it('hands Ctrl-C on, which is more than a no', async () => {
    const { stream } = pipe({ isTTY: true, columns: 80 });
    const input = Object.assign(new PassThrough(), { isTTY: true, setRawMode: () => {} });
    let interrupts = 0;
    const options = { input: input as unknown as NodeJS.ReadStream, output: stream };
    const answer = confirm('go?', { ...options, onInterrupt: () => interrupts++ });
    input.write('\x03');
    expect(await answer).toBe(false);
    expect(interrupts).toBe(1);
  });

  it('is taken back by a signal', async () => {
    const { stream } = pipe({ isTTY: true, columns: 80 });
    const input = Object.assign(new PassThrough(), { isTTY: true, setRawMode: () => {} });
    const interrupt = new AbortController();
    const options = { input: input as unknown as NodeJS.ReadStream, output: stream };
    const answer = confirm('go?', { ...options, signal: interrupt.signal });
    interrupt.abort('SIGTERM');
    expect(await answer).toBe(false);
  });

  it('takes the end of input as no', async () => {
    const { stream } = pipe({ isTTY: true });
    const input = Object.assign(new PassThrough(), { isTTY: true, setRawMode: () => {} });
    const answer = confirm('go?', { input: input as unknown as NodeJS.ReadStream, output: stream });
    input.end();
    expect(await answer).toBe(false);
  });
});
