import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cacheFolder } from '../../src/lab/debian/cache.ts';
import type { BootResult } from './boot.ts';

/**
 * Keeps what a guest wrote, with how it ended, in the cache's folder `logs`, where the next of that name takes its place.
 * @returns the file
 */
export function keepLog(name: string, { ended, exit, seconds, output, console }: BootResult): string {
  const folder = join(cacheFolder(), 'logs');
  mkdirSync(folder, { recursive: true });
  const file = join(folder, `${name.replaceAll(/[^\w.-]+/g, '-')}.log`);
  const end = `QEMU: ${ended}; script: ${exit ?? 'no end'}; ${Math.round(seconds)} s`;
  writeFileSync(file, `${end}\n\n== script\n${output}\n== console\n${console}\n== ${end}\n`);
  return file;
}
