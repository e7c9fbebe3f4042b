import type { HostFacts } from '../facts/facts.ts';
import type { SourcePosition } from '../lib/errors.ts';
import type { Claim, Input } from '../resources/kind.ts';

/** One task bound to one host: variables in, files loaded, loop unrolled. */
export interface Declaration {
  /** the play's name, and its place in the file from 0 */
  play: string;
  playIndex: number;
  /** the task's name, templates rendered; unrolled loops carry `(item=…)` */
  task: string;
  /** true for a handler: it runs only where a task that changes notifies it */
  handler: boolean;
  kind: string;
  at: SourcePosition;
  input: Input<unknown>;
  /** what it says of which things; absent where it is skipped or says nothing */
  claims?: readonly Claim[];
  become: boolean;
  tags: readonly string[];
  /** handler names */
  notify: readonly string[];
  /** `when:` is false whatever the host answers; there is no input then, and nothing is probed */
  skipped?: true;
  /** the part of `when:` that needs the host's facts; absent where it is already known to be true */
  when?: (facts: HostFacts) => boolean;
}

/** A play as the engine needs it; host names in inventory order, after -l. */
export interface BoundPlay {
  name: string;
  index: number;
  hosts: readonly string[];
  /** batch sizes in hosts, resolved from numbers and percentages; the last repeats. [] is one batch of all. */
  serial: readonly number[];
  /** stop new batches above this share of failed or unreachable hosts of the fleet; 100 never stops */
  maxFailPercentage: number;
  /** the tasks and handlers of one host in this play, in order */
  declarations(host: string): readonly Declaration[];
}
