import type { DiffEntry, RunReport } from '../events/events.ts';
import { firstDifference } from '../lib/unified-diff.ts';

// What JSON may hold as it is but a terminal would act on or hide; each of these stands inside a string.
const unprintable = /[\p{Cc}\p{Cf}\p{Co}\p{Cn}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/gu;

/** The document of a run: the fixed shape, whatever else a report may carry. */
export function toDocument(report: RunReport): object {
  const { id, started, finished } = report.run;
  const { hosts, ok, changed, failed, unreachable, pending } = report.summary;
  return {
    command: report.command,
    run: { id, started, finished },
    hosts: report.hosts.map((host) => ({
      name: host.name,
      status: host.status,
      changes: host.changes,
      tasks: host.tasks.map(({ play, task, kind, status, diff, error }) => ({
        play,
        task,
        kind,
        status,
        diff: diff.map(difference),
        error,
      })),
      error: host.error,
      ...(host.facts === undefined ? {} : { facts: host.facts }),
    })),
    summary: { hosts, ok, changed, failed, unreachable, pending },
    ...(report.warnings === undefined ? {} : { warnings: report.warnings }),
  };
}

/** The fixed shape of a difference; for changed contents each side also says its first line that differs. */
function difference({ path, from, to, text }: DiffEntry): {
  path: string;
  from: string | null;
  to: string | null;
} {
  const first = text === undefined || from === null || to === null ? null : firstDifference(text);
  if (!first) return { path, from, to };
  const side = (line: string | null) =>
    `line ${first.line}: ${line === null ? 'nothing' : JSON.stringify(line)}`;
  return { path, from: `${from}, ${side(first.from)}`, to: `${to}, ${side(first.to)}` };
}

/**
 * The JSON document of a run as text, ended by a newline. Strings keep every character; those that a terminal would act
 * on are written as `\uXXXX`, and so are lone surrogates.
 */
export function toJson(report: RunReport): string {
  return jsonText(toDocument(report));
}

/** Any document as text, written as toJson does. */
export function jsonText(document: object): string {
  const text = JSON.stringify(document, null, 2);
  return `${text.replace(unprintable, escapeUnits)}\n`;
}

function escapeUnits(character: string): string {
  // The newlines of the layout; those inside strings are escaped already.
  if (character === '\n') return character;
  let escaped = '';
  for (let index = 0; index < character.length; index += 1) {
    escaped += `\\u${character.charCodeAt(index).toString(16).padStart(4, '0')}`;
  }
  return escaped;
}
