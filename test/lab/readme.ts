import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { repository } from './program.ts';

/** The code blocks below a heading of the README, each its lines. */
export function readmeBlocks(heading: string): string[][] {
  const text = readFileSync(join(repository, 'README.md'), 'utf8');
  const sections = text.split(/^## /m).filter((section) => section.startsWith(`${heading}\n`));
  if (sections.length !== 1) throw new Error(`README.md has ${sections.length} sections '${heading}'`);
  const blocks: string[][] = [];
  let within = false;
  for (const line of sections[0]!.split('\n')) {
    const code = line.startsWith('    ');
    if (code && !within) blocks.push([]);
    if (code) blocks.at(-1)!.push(line.slice(4));
    within = code;
  }
  return blocks;
}
