import { stripVTControlCharacters } from 'node:util';
import { describe, expect, it } from 'vitest';
import { displayWidth } from '../../../src/lib/terminal.ts';
import { printAudit } from '../../../src/ui/audit-printer.ts';
import { printPlan } from '../../../src/ui/plan-printer.ts';
import { printSummary } from '../../../src/ui/summary-printer.ts';
import { failedTask, fileDrift, fleet, heldTask, host, hostile, run, task } from './reports.ts';

const printers = {
  plan: (columns: number, colour = false) => printPlan(fleet(), { columns, colour }),
  audit: (columns: number, colour = false) => printAudit(run(fleet(), 'audit'), { columns, colour }),
  summary: (columns: number, colour = false) => printSummary(run(fleet()), { columns, colour }),
};

describe.each(Object.entries(printers))('%s printer', (name, print) => {
  it.each([20, 80, 200])('keeps to %i columns', async (columns) => {
    const text = print(columns);
    for (const line of text.split('\n')) expect(displayWidth(line)).toBeLessThanOrEqual(columns);
    await expect(text).toMatchFileSnapshot(`../../fixtures/ui/${name}-${columns}.txt`);
  });

  it('says the same with colour and without', () => {
    const coloured = print(80, true);
    expect(coloured).toContain('\x1b[');
    expect(stripVTControlCharacters(coloured)).toBe(print(80));
  });
});

describe('printPlan', () => {
  it('prints equal plans of several hosts once', () => {
    const hosts = Array.from({ length: 38 }, (_, index) =>
      host(`hv${index + 1}`, { status: 'pending', changes: 1, tasks: [fileDrift] }),
    );
    const text = printPlan(hosts);
    expect(text.match(/limits for the service/g)).toHaveLength(1);
    expect(text).toContain('hv1, hv2, hv3, hv4, hv5, hv6 … (38 hosts): pending, 1 change');
  });

  it('prints the same failure of several hosts once', () => {
    const failing = (name: string) => {
      const error = { ...failedTask.error!, host: name };
      return host(name, { status: 'failed', error, tasks: [{ ...failedTask, error }] });
    };
    expect(printPlan([failing('a1'), failing('b1')])).toContain('✗ a1, b1 (2 hosts): failed');
  });

  it('tells plans apart that differ in one value', () => {
    const other = { ...fileDrift, diff: [{ path: 'mode', from: '0644', to: '0640', action: '~' as const }] };
    const text = printPlan([
      host('a', { status: 'pending', changes: 1, tasks: [fileDrift] }),
      host('b', { status: 'pending', changes: 1, tasks: [other] }),
    ]);
    expect(text).toContain('0640');
    expect(text.match(/limits for the service/g)).toHaveLength(2);
  });

  it('lists hosts in sync only when asked', () => {
    expect(printPlan([host('quiet1')])).not.toContain('quiet1');
    expect(printPlan([host('quiet1')], { verbose: true })).toContain('quiet1');
  });

  it('names the play where a host has several', () => {
    const text = printPlan([
      host('a', { status: 'pending', changes: 2, tasks: [fileDrift, { ...fileDrift, play: 'Second' }] }),
    ]);
    expect(text).toContain('play Hypervisors');
    expect(text).toContain('play Second');
  });

  it('puts exceptions first', () => {
    const text = printPlan(fleet());
    const places = ['gone1', 'bad01', 'hv01', 'held1'].map((name) => text.indexOf(name));
    expect(places).toEqual([...places].sort((a, b) => a - b));
  });

  it('shows warnings of tasks in sync', () => {
    expect(printPlan([host('a', { tasks: [task({ warnings: ['taint'] })] })])).toContain('taint');
  });
});

describe('printAudit', () => {
  it('names host, file and the line of the first difference', () => {
    const row = printAudit(
      run([host('hv07', { status: 'pending', changes: 1, tasks: [fileDrift] })], 'audit'),
    )
      .split('\n')
      .find((line) => line.includes('content'));
    expect(row).toMatch(/^hv07 .*\/etc\/blkfleet\.conf.*line 11: "queues 2" → "queues 4"$/);
  });
});

describe('printSummary', () => {
  it('prints the counts as words', () => {
    expect(printSummary(run([host('a')]))).toBe(
      'hosts: 1  ok: 1  changed: 0  failed: 0  unreachable: 0  pending: 0\n',
    );
  });

  it('prints the last 20 lines of a failed step, its code and hint', () => {
    const text = printSummary(
      run([host('a', { status: 'failed', tasks: [failedTask], error: failedTask.error })]),
    );
    expect(text).not.toContain('log line 10\n');
    expect(text).toContain('log line 11\n');
    expect(text).toContain('log line 30\n');
    expect(text.match(/E_STEP/g)).toHaveLength(1);
    expect(text).toContain('hint: read make.log');
  });

  it('tells what people can do now, a command line on a line of its own that is never wrapped', () => {
    const command = `qemu-system-x86_64 ${'-device x '.repeat(30)}-nographic`;
    const noted = { tasks: [{ ...heldTask, status: 'ok' as const, notes: [`disk web1:\n${command}`] }] };
    const text = printSummary(run([host('a', noted), host('b', noted)]), { columns: 60 });
    expect(text).toContain(`disk web1:\n  ${command}\n`);
    expect(text.match(/disk web1/g)).toHaveLength(1);
  });

  it('says what was held back, once for all hosts', () => {
    const held = { status: 'pending' as const, changes: 1, tasks: [heldTask] };
    const text = printSummary(run([host('a', held), host('b', held)]));
    expect(text.match(/pending-drain/g)).toHaveLength(1);
    expect(text).toContain('a, b (2 hosts)');
  });
});

describe('hostile strings', () => {
  const bad = {
    code: 'E_STEP' as const,
    message: hostile,
    hint: hostile,
    excerpt: hostile,
    at: { file: hostile, line: 1, col: 1 },
  };
  const hosts = [
    host(hostile, {
      status: 'failed',
      changes: 1,
      error: { ...bad, code: 'E_SUDO' },
      tasks: [
        task({
          play: hostile,
          task: hostile,
          status: 'failed',
          reason: hostile,
          warnings: [hostile],
          error: bad,
          log: [hostile],
          diff: [
            {
              path: hostile,
              from: hostile,
              to: hostile,
              action: '~',
              reason: hostile,
              text: `@@ -1 +1 @@\n-${hostile}\n+b\n`,
            },
          ],
        }),
        { ...heldTask, reason: hostile, play: 'other' },
      ],
    }),
  ];
  it.each([
    ['plan', () => printPlan(hosts)],
    ['plan at 20', () => printPlan(hosts, { columns: 20 })],
    ['audit', () => printAudit(run(hosts, 'audit'))],
    ['audit at 80', () => printAudit(run(hosts, 'audit'), { columns: 80 })],
    ['summary', () => printSummary(run(hosts))],
  ])('are escaped in the %s', (_name, print) => {
    const text = print();
    expect(text).toContain('\\x1b]0;');
    expect(text).not.toMatch(/(?!\n)[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u);
  });
});
