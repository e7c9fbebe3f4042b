import { printable } from '../../lib/terminal.ts';
import { activityLine, hostLine } from '../event-lines.ts';
import { elapsed, fitLine, type Segment } from '../layout.ts';
import { type Paint, statusMark } from '../paint.ts';
import type { RunState } from '../run-state.ts';

const shownStatuses = ['failed', 'unreachable', 'changed', 'pending', 'ok', 'skipped'] as const;
const shownFailures = 3;

export interface FrameSize {
  rows: number;
  columns: number;
}

/**
 * The live part of the screen: counters, hosts at work, newest failures, and how many more there are.
 * @returns at least 1 and at most rows − 3 lines, each at most columns − 1 wide, so that none of them wraps. The cost
 * depends on the rows, not on the number of hosts.
 */
export function frameLines(state: RunState, now: number, size: FrameSize, paint: Paint): string[] {
  const room = Math.max(size.rows - 3, 1);
  const lines: Segment[][] = [counters(state)];
  if (room >= 4) lines.push(title(state, now));

  const body = room - lines.length;
  const failures = Math.min(state.failures.length, shownFailures, Math.floor(body / 3));
  const forActive = body - failures;
  const overflow = state.active.size > forActive;
  let rest = overflow ? Math.max(forActive - 1, 0) : state.active.size;
  const hidden = state.active.size - rest;
  for (const host of state.active.values()) {
    if (rest-- <= 0) break;
    lines.push(activityLine(host, now));
  }
  if (overflow && forActive > 0) lines.push([['quiet', `… ${hidden} more`]]);
  for (const { report } of state.failures.slice(0, failures)) lines.push(hostLine(report));
  return lines.map((line) => fitLine(line, Math.max(size.columns - 1, 1), paint));
}

function counters(state: RunState): Segment[] {
  const line: Segment[] = [['strong', `${state.finished}/${state.hosts.length} hosts`]];
  for (const status of shownStatuses) {
    const count = state.counts[status];
    if (count === 0) continue;
    const { glyph, tone } = statusMark[status];
    line.push(['plain', '  '], [tone, `${glyph} ${count} ${status}`]);
  }
  if (state.active.size > 0) line.push(['plain', `  … ${state.active.size} running`]);
  return line;
}

function title(state: RunState, now: number): Segment[] {
  const line: Segment[] = [['quiet', elapsed(now - state.started)]];
  if (state.interrupted) line.push(['warn', `  ! ${printable(state.interrupted)}: ending`]);
  line.push(['quiet', `  ${state.command ?? ''}`]);
  if (state.playbook) line.push(['quiet', ` ${printable(state.playbook)}`]);
  if (state.batch) {
    const { play, batch, batches, canary } = state.batch;
    line.push(['quiet', `  batch ${batch}/${batches}${canary ? ' (canary)' : ''} of ${printable(play)}`]);
  }
  return line;
}
