import { createHash } from 'node:crypto';
import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';

/** One line for each path under a folder, sorted: what it is, mode, owner, size, times of content and inode, content. */
export function snapshot(folder: string): string[] {
  const lines: string[] = [];
  const walk = (path: string, shown: string) => {
    const s = lstatSync(path, { bigint: true });
    const content = s.isFile()
      ? createHash('sha256').update(readFileSync(path)).digest('hex')
      : s.isSymbolicLink()
        ? readlinkSync(path)
        : '';
    lines.push([shown, s.mode.toString(8), s.uid, s.gid, s.rdev, s.mtimeNs, s.ctimeNs, content].join(' '));
    if (s.isDirectory())
      for (const name of readdirSync(path).sort()) walk(join(path, name), `${shown}/${name}`);
  };
  walk(folder, '');
  return lines;
}
