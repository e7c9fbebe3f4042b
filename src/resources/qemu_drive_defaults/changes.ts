import { createHash } from 'node:crypto';
import { lineDiff } from '../../lib/line-diff.ts';
import type { Change } from '../kind.ts';

/** Of a text whose characters are bytes. */
export const sha256 = (text: string) => createHash('sha256').update(text, 'latin1').digest('hex');

/** A file's change, by the names of its contents and a diff of its lines; null is no file. */
export function textChange(path: string, from: string | null, to: string | null): Change {
  const diff = lineDiff(path, Buffer.from(from ?? '', 'latin1'), Buffer.from(to ?? '', 'latin1'));
  return {
    path,
    from: from === null ? null : contentName(from),
    to: to === null ? null : contentName(to),
    action: from === null ? '+' : to === null ? '-' : '~',
    ...(diff ? { diff } : {}),
  };
}

export function removal(path: string, what: string): Change {
  return { path, from: what, to: null, action: '-' };
}

function contentName(text: string): string {
  return `sha256:${sha256(text).slice(0, 12)}, ${text.length} bytes`;
}
