import type { FleetEvent, HostReport, TaskReport } from '../events/events.ts';
import { printable } from '../lib/terminal.ts';
import { errorText, phaseText, taskText } from './describe.ts';
import { elapsed, hostList, plural, type Segment } from './layout.ts';
import { statusMark } from './paint.ts';
import type { ActiveHost } from './run-state.ts';

/** The mark, the host's name and the status word, as every status line begins. */
function statusStart(host: string, status: HostReport['status']): Segment[] {
  const { glyph, tone } = statusMark[status];
  return [
    [tone, `${glyph} `],
    ['strong', printable(host)],
    ['plain', ' '],
    [tone, status],
  ];
}

/** A host's verdict on one line; `brief` leaves what went wrong to the report that follows. */
export function hostLine(report: HostReport, brief = false): Segment[] {
  const line = statusStart(report.name, report.status);
  if (report.changes > 0) line.push(['plain', ` ${plural(report.changes, 'change')}`]);
  const failed = report.tasks.find((task) => task.status === 'failed');
  if (failed) line.push(['plain', ` ${taskText(failed)}`]);
  const error = report.error ?? failed?.error;
  if (error) line.push(['bad', ` ${brief ? error.code : errorText(error)}`]);
  return line;
}

function taskLine(host: string, report: TaskReport): Segment[] {
  const line = statusStart(host, report.status);
  line.push(['plain', ` ${taskText(report)}`]);
  if (report.error) line.push(['bad', ` ${errorText(report.error)}`]);
  else if (report.reason) line.push(['quiet', ` (${printable(report.reason)})`]);
  return line;
}

/** What a host is doing, since when, and the last thing that its step said. */
export function activityLine(host: ActiveHost, now: number): Segment[] {
  const what = host.task
    ? taskText(host.task)
    : `${phaseText[host.phase]}${host.text ? `: ${printable(host.text)}` : ''}`;
  const line: Segment[] = [
    ['plain', '… '],
    ['strong', printable(host.name)],
    ['plain', ` ${what}`],
    ['quiet', ` ${elapsed(now - host.since)}`],
  ];
  if (host.line) line.push(['quiet', ` | ${printable(host.line.trimEnd())}`]);
  return line;
}

/**
 * The lines that an event is worth where nothing is redrawn. `verbose` 0 leaves out tasks that change nothing, 1 shows
 * every task and phase, 2 also each line that a step prints. `brief`: a report with all errors follows.
 */
export function eventLines(event: FleetEvent, verbose: number, brief = false): Segment[][] {
  switch (event.type) {
    case 'run-started': {
      const what = event.playbook ? ` ${printable(event.playbook)}` : '';
      const text = `${event.command}${what} on ${plural(event.hosts.length, 'host')}`;
      return [
        [
          ['strong', text],
          ['quiet', ` (run ${printable(event.runId)})`],
        ],
      ];
    }
    case 'batch-started': {
      const names = hostList(event.hosts.map(printable), 60);
      const canary = event.canary ? ' (canary)' : '';
      return [
        [['strong', `batch ${event.batch}/${event.batches}${canary} of ${printable(event.play)}: ${names}`]],
      ];
    }
    case 'host-phase':
      return verbose >= 1 || event.phase === 'wait'
        ? [
            activityLine(
              {
                name: event.host,
                phase: event.phase,
                since: event.at,
                ...(event.text ? { text: event.text } : {}),
              },
              event.at,
            ).slice(0, 3),
          ]
        : [];
    case 'task-started':
      return verbose >= 1
        ? [
            activityLine(
              {
                name: event.host,
                phase: 'apply',
                task: { kind: event.kind, task: event.task },
                since: event.at,
              },
              event.at,
            ).slice(0, 3),
          ]
        : [];
    case 'task-line':
      return verbose >= 2
        ? [
            [
              ['strong', printable(event.host)],
              ['quiet', ` | ${printable(event.line.trimEnd())}`],
            ],
          ]
        : [];
    case 'task-finished':
      return verbose >= 1 || event.report.status === 'changed' || event.report.status === 'failed'
        ? [taskLine(event.host, event.report)]
        : [];
    case 'host-finished':
      return [hostLine(event.report, brief)];
    case 'warning':
    case 'interrupted':
      return noticeLines(event);
    case 'plan-ready':
    case 'run-finished':
      return [];
  }
}

/** Lines that must be seen in every mode: warnings, and what still runs after an interrupt. */
export function noticeLines(event: FleetEvent): Segment[][] {
  if (event.type === 'warning') {
    const host = event.host ? `${printable(event.host)}: ` : '';
    return [[['warn', `! warning: ${host}${printable(event.message)}`]]];
  }
  if (event.type === 'interrupted') {
    const lines: Segment[][] = [
      [
        [
          'warn',
          `! ${printable(event.signal)}: no new hosts are started; ${plural(event.running.length, 'job')} still running`,
        ],
      ],
    ];
    for (const { host, job } of event.running) {
      lines.push([
        ['warn', '! '],
        ['strong', printable(host)],
        ['plain', ` goes on with job ${printable(job)}; the next run collects its result`],
      ]);
    }
    return lines;
  }
  return [];
}
