import { createHash } from 'node:crypto';
import type { Input, Payload } from '../kind.ts';
import type { FileDeclaration } from './schema.ts';

const inline = new WeakMap<FileDeclaration, Payload>();

/** The bytes that a declared file shall have, from wherever they come. Only for state file. */
export function contentOf({ desired, assets }: Input<FileDeclaration>): Payload {
  const asset = assets[desired.template !== undefined ? 'template' : 'src'];
  if (desired.content === undefined) return { sha256: asset!.sha256, bytes: asset!.bytes! };
  let payload = inline.get(desired);
  if (!payload) {
    const bytes = Buffer.from(desired.content);
    payload = { bytes, sha256: createHash('sha256').update(bytes).digest('hex') };
    inline.set(desired, payload);
  }
  return payload;
}

/** The declared mode as a number, or what a new one gets. */
export function modeOf(desired: FileDeclaration): number {
  return Number.parseInt(desired.mode ?? (desired.state === 'directory' ? '0755' : '0644'), 8);
}

/** The folder that holds a path. */
export function folderOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/')) || '/';
}

/** Each folder above a path, from the top, without /. */
export function parentsOf(path: string): string[] {
  const parts = path.split('/').slice(1, -1);
  return parts.map((_part, index) => `/${parts.slice(0, index + 1).join('/')}`);
}

/** A mode as people write it. */
export function octal(mode: number): string {
  return `0${mode.toString(8).padStart(3, '0')}`;
}
