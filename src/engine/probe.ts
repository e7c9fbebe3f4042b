import { factsScript } from '../facts/probe.ts';
import { FleetError } from '../lib/errors.ts';
import { shellQuote } from '../lib/shell.ts';
import type { Declaration } from '../playbook/declaration.ts';
import type { Input, ResourceKind } from '../resources/kind.ts';
import { FRAME_FUNCTIONS, type Frame } from '../transport/connection.ts';
import { jobsProbe } from './job-script.ts';

/** Which fragment and which place in it answers a declaration. */
export interface ProbeSlot {
  frame: string;
}

/** One script for all facts and resources of a host, and where each declaration's answer will stand. */
export interface HostProbe {
  body: string;
  slots: ReadonlyMap<Declaration, ProbeSlot>;
}

/**
 * Builds the probe of a host: facts, jobs, then one fragment a kind (and privilege), each reading only.
 * @param declarations all of the host, in order
 * @param kinds the registry
 */
export function buildProbe(
  declarations: readonly Declaration[],
  kinds: ReadonlyMap<string, ResourceKind>,
): HostProbe {
  const groups = new Map<string, { kind: ResourceKind; become: boolean; members: Declaration[] }>();
  for (const declaration of declarations) {
    if (declaration.skipped) continue;
    const kind = kinds.get(declaration.kind);
    if (!kind)
      throw new FleetError({ code: 'E_BUG', message: `no kind '${declaration.kind}' in the registry` });
    const key = `${declaration.kind}/${declaration.become}`;
    const group = groups.get(key);
    if (group) group.members.push(declaration);
    else groups.set(key, { kind, become: declaration.become, members: [declaration] });
  }
  const slots = new Map<Declaration, ProbeSlot>();
  const privileged = declarations.some((d) => d.become && !d.skipped);
  let body = `bf_b facts\n${factsScript}\nbf_e facts 0\n${jobsProbe}`;
  let index = 0;
  for (const { kind, become, members } of groups.values()) {
    const prefix = `r${index++}.`;
    for (const [place, member] of members.entries()) slots.set(member, { frame: `${prefix}${place}` });
    const inputs: Input<unknown>[] = members.map((m) => m.input);
    const fragment = `BF_P=${prefix}\n${kind.probe(inputs)}\nBF_P=\n`;
    body += privileged && !become ? asLoginUser(fragment) : fragment;
  }
  return { body, slots };
}

/** Runs a fragment as the user who logged in, where the session itself went through sudo. */
function asLoginUser(fragment: string): string {
  const text = `${FRAME_FUNCTIONS}trap bf_flush 0\n{\n${fragment}\n} </dev/null\n`;
  return `if [ "$(id -u)" = 0 ] && [ -n "\${SUDO_USER-}" ] && [ "$SUDO_USER" != root ]; then
printf %s ${shellQuote(text)} | runuser -u "$SUDO_USER" -- /bin/sh
else
${fragment}
fi
`;
}

/** Parses the answer of one declaration; a missing frame or nonsense is E_PROBE. */
export function parseAnswer(
  kind: ResourceKind,
  input: Input<unknown>,
  slot: ProbeSlot,
  frames: ReadonlyMap<string, Frame>,
): unknown {
  const frame = frames.get(slot.frame);
  if (!frame)
    throw new FleetError({
      code: 'E_PROBE',
      message: `the probe of '${kind.kind}' gave no answer`,
      hint: 'run it again with -vv to see what the host printed',
    });
  return kind.parse(frame.body, input);
}
