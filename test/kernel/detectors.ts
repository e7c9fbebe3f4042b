import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { DebugKernel } from './debug-kernel.ts';
import { inRoot } from './namespace.ts';
import { runLogged } from './process.ts';

const source = fileURLToPath(new URL('detectors', import.meta.url));
const BUILD_MS = 15 * 60_000;
const MARK = 'mistake on purpose: ';

/** Mistakes that the module of this folder makes, in this order, and what the console must say of each. */
export const mistakes: readonly { name: string; report: RegExp }[] = [
  // The first: any other report makes lockdep stop looking.
  { name: 'lock_in_two_orders', report: /WARNING: possible circular locking dependency detected/ },
  { name: 'use_after_free', report: /BUG: KASAN: slab-use-after-free in use_after_free/ },
  { name: 'write_behind', report: /BUG: KASAN: slab-out-of-bounds in write_behind/ },
  { name: 'shift_too_far', report: /UBSAN: shift-out-of-bounds/ },
  { name: 'index_too_high', report: /UBSAN: array-index-out-of-bounds/ },
  { name: 'sleep_with_spinlock', report: /BUG: sleeping function called from invalid context/ },
  { name: 'warn', report: /WARNING: .* at .*warn/ },
];

/** The mistake that only kmemleak sees. */
export const leak = 'leak';

/** A script for a guest that makes all of them. */
export const detectorsScript = [...mistakes.map(({ name }) => name), leak]
  .map((name) => `echo '<6>${MARK}${name}' >/dev/kmsg\ninsmod /detectors.ko mistake=${name} 2>/dev/null`)
  .join('\n');

/** What the console says between one mistake and the next. */
export function saidOf(console: string, name: string): string {
  const begin = console.indexOf(`${MARK}${name}\n`);
  if (begin < 0) return '';
  const end = console.indexOf(MARK, begin + MARK.length);
  return end < 0 ? console.slice(begin) : console.slice(begin, end);
}

/**
 * Builds the module for a debug kernel.
 * @throws Error with what make said when it does not build
 */
export async function buildDetectors({ root, tree }: DebugKernel): Promise<Buffer> {
  const folder = mkdtempSync(join(tmpdir(), 'blkfleet-detectors-'));
  try {
    cpSync(source, folder, { recursive: true });
    const output = join(folder, 'build.log');
    const argv = inRoot(root, { '/mnt': folder, '/usr/src': tree }, 'make -C /usr/src M=/mnt modules');
    const ended = await runLogged(argv, { output, timeoutMs: BUILD_MS });
    if (ended.code !== 0)
      throw new Error(`the detectors' module does not build:\n${readFileSync(output, 'utf8')}`);
    return readFileSync(join(folder, 'detectors.ko'));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
