import { expect, it } from 'vitest';
import { eventLines } from '../../../src/ui/event-lines.ts';
import { printFacts } from '../../../src/ui/facts-printer.ts';
import { debianFacts } from '../resources/facts.ts';
import { host, run } from './reports.ts';

const gone = (name: string, port: number) =>
  host(name, {
    status: 'unreachable',
    error: {
      code: 'E_UNREACHABLE',
      message: `192.0.2.1:${port} refused the connection`,
      hint: 'is sshd running there?',
      host: name,
    },
  });
const report = run(
  [
    { ...host('hv01'), facts: debianFacts() } as never,
    gone('hv02', 1),
    gone('hv03', 2),
    { ...host('a\u001b[2J'), facts: { ...debianFacts({ healthy: false }), cpus: 128 } } as never,
  ],
  'facts',
);

it('hosts that can not be asked first, a hint once, then a line a host and the counts', () => {
  expect(printFacts(report, { columns: 120 }).split('\n')).toEqual([
    '✗ hv02: unreachable: E_UNREACHABLE 192.0.2.1:1 refused the connection',
    '✗ hv03: unreachable: E_UNREACHABLE 192.0.2.1:2 refused the connection',
    '  hint: is sshd running there?',
    '',
    expect.stringMatching(/^HOST +OS +KERNEL +ARCH +CPUS +MEMORY +PACKAGES +HEADERS +SECURE BOOT$/),
    expect.stringMatching(/^hv01 +debian 12 +6\.1\.0-41-amd64 +x86_64 +2 +3\.8 GiB +apt +0 of 1 +off$/),
    expect.stringMatching(/^a\S+ +debian 12 .* 128 .* apt, not healthy +0 of 1 +off$/),
    '',
    'Facts: 4 hosts: 2 answered, 2 unreachable.',
    '',
  ]);
});

it('stays within narrow terminals, and lets nothing of a host through', () => {
  for (const columns of [20, 60, 200]) {
    const text = printFacts(report, { columns });
    expect(text).not.toContain('\u001b');
    for (const line of text.split('\n')) expect(line.length).toBeLessThanOrEqual(columns);
    expect(text.replace(/\s+/g, ' ')).toContain('6.1.0-41-amd64');
  }
});

it('where a report follows, a line of progress leaves the error to it', () => {
  const event = { at: 0, type: 'host-finished', host: 'hv02', report: gone('hv02', 1) } as const;
  const text = (brief: boolean) =>
    eventLines(event, 0, brief)
      .flat()
      .map(([, part]) => part)
      .join('');
  expect(text(true)).toBe('✗ hv02 unreachable E_UNREACHABLE');
  expect(text(false)).toBe('✗ hv02 unreachable E_UNREACHABLE 192.0.2.1:1 refused the connection');
});
