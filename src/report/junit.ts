import type { DiffEntry, HostReport, RunReport, TaskReport } from '../events/events.ts';
import type { Diagnostic } from '../lib/errors.ts';
import { printable } from '../lib/terminal.ts';

/**
 * A run as JUnit XML, for CI systems: a suite a host, a case a task. A task that failed, or that differs where nothing was
 * to be changed, is a failure; a host that could not be reached is an error of its own case `host`.
 */
export function toJunit(report: RunReport): string {
  const suites = report.hosts.map((host) => suiteXml(host, report));
  const total = (name: keyof Counts) => suites.reduce((sum, suite) => sum + suite.counts[name], 0);
  const seconds = (Date.parse(report.run.finished) - Date.parse(report.run.started)) / 1000;
  const attributes = {
    name: `blkfleet ${report.command}`,
    tests: total('tests'),
    failures: total('failures'),
    errors: total('errors'),
    skipped: total('skipped'),
    time: (Number.isFinite(seconds) ? Math.max(seconds, 0) : 0).toFixed(3),
  };
  const body = suites.map((suite) => suite.xml).join('');
  return `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites${attributesXml(attributes)}>\n${body}</testsuites>\n`;
}

interface Counts {
  tests: number;
  failures: number;
  errors: number;
  skipped: number;
}

function suiteXml(host: HostReport, report: RunReport): { xml: string; counts: Counts } {
  const counts: Counts = { tests: 0, failures: 0, errors: 0, skipped: 0 };
  const cases: string[] = [];
  const add = (name: string, kind: string, verdict: Verdict | null) => {
    counts.tests += 1;
    if (verdict) counts[verdict.counter] += 1;
    const attributes = attributesXml({ classname: `${host.name}.${kind}`, name });
    cases.push(
      verdict
        ? `    <testcase${attributes}>\n      ${verdict.xml}\n    </testcase>\n`
        : `    <testcase${attributes}/>\n`,
    );
  };
  if (host.error) add('host', 'host', errorVerdict(host.error, host.status === 'unreachable'));
  for (const task of host.tasks) add(`${task.play}: ${task.task}`, task.kind, taskVerdict(task));
  if (cases.length === 0) add('host', 'host', host.status === 'skipped' ? skipped('') : null);
  const attributes = attributesXml({ name: host.name, ...counts, timestamp: report.run.started });
  return { xml: `  <testsuite${attributes}>\n${cases.join('')}  </testsuite>\n`, counts };
}

interface Verdict {
  counter: 'failures' | 'errors' | 'skipped';
  xml: string;
}

function taskVerdict(task: TaskReport): Verdict | null {
  if (task.status === 'skipped') return skipped(task.reason ?? '');
  if (task.error) return errorVerdict(task.error, false, task.log);
  if (task.status === 'failed') return failure('failed', 'failed', (task.log ?? []).join('\n'));
  if (task.status !== 'pending') return null;
  const reason = task.reason ? `${task.reason}\n` : '';
  return failure(
    'differs',
    `differs: ${task.diff.map((entry) => entry.path).join(', ')}`,
    reason + diffText(task.diff),
  );
}

function diffText(diff: readonly DiffEntry[]): string {
  return diff
    .map(
      ({ path, from, to, text }) =>
        `${path}: ${from ?? 'nothing'} → ${to ?? 'nothing'}${text ? `\n${text}` : ''}`,
    )
    .join('\n');
}

function errorVerdict(error: Diagnostic, unreachable: boolean, log: readonly string[] = []): Verdict {
  const place = error.at ? `${error.at.file}:${error.at.line}:${error.at.col}` : '';
  const text = [place, error.hint ? `hint: ${error.hint}` : '', ...log]
    .filter((line) => line !== '')
    .join('\n');
  const attributes = attributesXml({ type: error.code, message: error.message });
  const tag = unreachable ? 'error' : 'failure';
  return {
    counter: unreachable ? 'errors' : 'failures',
    xml: `<${tag}${attributes}>${textXml(text)}</${tag}>`,
  };
}

function failure(type: string, message: string, text: string): Verdict {
  return {
    counter: 'failures',
    xml: `<failure${attributesXml({ type, message })}>${textXml(text)}</failure>`,
  };
}

function skipped(message: string): Verdict {
  return { counter: 'skipped', xml: `<skipped${attributesXml({ message })}/>` };
}

function attributesXml(attributes: Readonly<Record<string, string | number>>): string {
  return Object.entries(attributes)
    .map(([name, value]) => ` ${name}="${textXml(printable(String(value)))}"`)
    .join('');
}

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
};

/** Text for XML 1.0, which can not carry control characters even as references: they are shown as escapes, a line at a time. */
function textXml(text: string): string {
  return text
    .split('\n')
    .map((line) =>
      printable(line.replaceAll('\t', '    ')).replace(/[&<>"]/g, (character) => entities[character]!),
    )
    .join('\n');
}
