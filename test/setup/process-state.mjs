import { readFileSync } from 'node:fs';

/**
 * Whether a process still runs. A zombie does not: it holds nothing, its parent has yet to notice, and the machine's
 * process 1 may take its time with orphans.
 * @param {number} pid
 * @returns {boolean}
 */
export function isAlive(pid) {
  let stat;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return false;
  }
  return !/^[ZX]/.test(stat.slice(stat.lastIndexOf(')') + 2));
}
