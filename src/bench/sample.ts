import { z } from 'zod';
import type { BenchRw } from '../events/bench.ts';

/** One measurement: what was printed made sense, or why there is no number. */
export type Sample =
  | { ok: true; iops: number; cpuUs: number | null }
  | { ok: false; skipped: boolean; reason: string };

/** Of proc_stat(5): ticks a second of every architecture that Linux has today (USER_HZ). */
const TICKS = 100;
const MAX_BYTES = 256 * 1024;

const rate = z.number().min(0).max(1e9);
const fioDirection = z.object({ iops: rate, total_ios: z.number().min(0).max(1e12) });
const fioDocument = z.object({
  jobs: z.array(z.object({ error: z.number().int(), read: fioDirection, write: fioDirection })).length(1),
});

const clientDocument = z.object({
  iops: z.array(rate).max(1),
  cpuUs: z.array(z.number().min(0).max(1e9)).max(1).optional(),
  outcome: z.enum(['ok', 'skipped', 'failed']),
  trouble: z.string().max(1000),
});

/**
 * Reads what fio printed, behind the first line of /proc/stat before and after it.
 * @param body untrusted
 */
export function fioSample(body: Buffer, rw: BenchRw): Sample {
  const text = body.subarray(0, MAX_BYTES).toString('utf8');
  // fio may complain before its document.
  const at = text.search(/^\{/m);
  const parsed = fioDocument.safeParse(json(at < 0 ? '' : text.slice(at)));
  if (!parsed.success) return nonsense('fio');
  const [job] = parsed.data.jobs;
  if (job!.error !== 0) return { ok: false, skipped: false, reason: `fio ended with error ${job!.error}` };
  const { iops, total_ios: requests } = rw === 'randread' ? job!.read : job!.write;
  if (iops <= 0 || requests < 1) return { ok: false, skipped: false, reason: 'fio did nothing in the time' };
  const [before, after] = [...text.slice(0, at).matchAll(/^cpu +([\d ]{1,200})$/gm)].map((match) =>
    busyTicks(match[1]!),
  );
  const ticks = before === undefined || after === undefined ? -1 : after - before;
  return { ok: true, iops, cpuUs: ticks < 0 ? null : (ticks * 1e6) / TICKS / requests };
}

/** User, nice, system, irq and softirq; a guest's time is in user's. */
function busyTicks(numbers: string): number {
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0] = numbers.trim().split(/ +/).map(Number);
  return user + nice + system + irq + softirq;
}

/** Reads the line of JSON that vhost-blk-bench wrote for one round. @param body untrusted */
export function clientSample(body: Buffer): Sample {
  const parsed = clientDocument.safeParse(json(body.subarray(0, MAX_BYTES).toString('utf8')));
  if (!parsed.success) return nonsense('vhost-blk-bench');
  const { iops, cpuUs, outcome, trouble } = parsed.data;
  if (outcome !== 'ok' || iops.length === 0 || iops[0]! <= 0)
    return { ok: false, skipped: outcome === 'skipped', reason: trouble || 'it did nothing in the time' };
  // 0 means that the host did not say.
  return { ok: true, iops: iops[0]!, cpuUs: cpuUs?.[0] || null };
}

function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function nonsense(program: string): Sample {
  return { ok: false, skipped: false, reason: `what ${program} printed makes no sense` };
}
