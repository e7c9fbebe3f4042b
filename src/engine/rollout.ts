/**
 * Splits the hosts of a play into batches.
 * @param hosts in inventory order
 * @param serial batch sizes; the last repeats; empty is one batch of all (as Ansible's `serial`)
 */
export function batches(hosts: readonly string[], serial: readonly number[]): string[][] {
  if (serial.length === 0) return hosts.length > 0 ? [[...hosts]] : [];
  const result: string[][] = [];
  let from = 0;
  for (let i = 0; from < hosts.length; i++) {
    const size = Math.max(1, serial[Math.min(i, serial.length - 1)]!);
    result.push(hosts.slice(from, from + size));
    from += size;
  }
  return result;
}

/** Why a rollout must not go on, or null. Unreachable hosts count as failed. */
export function stopReason(state: {
  /** failed and unreachable hosts of the play so far */
  failed: number;
  hosts: number;
  maxFailPercentage: number;
  /** the batch that just ended was the first of several, and one of its hosts failed */
  canaryFailed: boolean;
}): string | null {
  if (state.canaryFailed) return 'a canary host failed';
  const share = state.hosts === 0 ? 0 : (100 * state.failed) / state.hosts;
  if (state.failed > 0 && share > state.maxFailPercentage)
    return `${state.failed} of ${state.hosts} hosts failed or are unreachable, more than ${state.maxFailPercentage}%`;
  return null;
}
