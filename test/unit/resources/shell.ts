import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import type { Input, ResourceKind, ResourcePlan, Step } from '../../../src/resources/kind.ts';
import { FRAME_FUNCTIONS } from '../../../src/transport/connection.ts';

const nonce = createHash('sha256').update('nonce').digest('hex');

/** Runs a kind's probe in a real sh and returns the body of each frame, in the order of the inputs. */
export function runProbe<D>(
  kind: ResourceKind<D, unknown>,
  inputs: readonly Input<D>[],
  path?: string,
  env: Readonly<Record<string, string>> = {},
): Buffer[] {
  const result = spawnSync('/bin/sh', ['-s'], {
    input: `${FRAME_FUNCTIONS}{\n${kind.probe(inputs)}\nbf_flush\n} </dev/null\n`,
    env: { PATH: path ?? process.env.PATH, LC_ALL: 'C', BF_NONCE: nonce, ...env },
    maxBuffer: 1 << 24,
  });
  if (result.stderr.length > 0) throw new Error(`the probe printed to stderr: ${result.stderr}`);
  return inputs.map((_input, index) => {
    const begin = `\n${nonce} b ${index}\n`;
    const text = result.stdout.toString('latin1');
    const from = text.indexOf(begin);
    const to = text.indexOf(`\n${nonce} e ${index} `);
    if (from < 0 || to < 0) throw new Error(`no frame ${index} in ${text}`);
    return Buffer.from(text.slice(from + begin.length, Math.max(to, from + begin.length)), 'latin1');
  });
}

export interface StepResult {
  status: number | null;
  output: string;
}

/** Runs a step as the job does: its guard, then its script, each by `sh -eu`. */
export function runStep(step: Step, path?: string): StepResult {
  let output = '';
  for (const script of [step.guard, step.script]) {
    if (!script) continue;
    const result = spawnSync('/bin/sh', ['-eu', '-c', script], {
      env: { PATH: path ?? process.env.PATH, LC_ALL: 'C' },
      cwd: '/',
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    output += result.stdout.toString() + result.stderr.toString();
    if (result.status !== 0) return { status: result.status, output };
  }
  return { status: 0, output };
}

/** The changes of a plan as `path: from → to`. */
export function changeLines(plan: ResourcePlan): string[] {
  if (plan.status !== 'change' && plan.status !== 'held') return [];
  return plan.changes.map((change) => `${change.path}: ${change.from} → ${change.to}`);
}
