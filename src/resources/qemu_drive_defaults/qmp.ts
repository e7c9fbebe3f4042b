import { type Property, properties } from './profile.ts';

/** What one QEMU answered. Untrusted until it went through here. */
export interface SeenQemu {
  /** the program */
  path: string;
  /** such as 7.2.22 */
  version: string;
  /** a disk that was given no property: values as QEMU's text; missing where QEMU has no such property */
  values: Partial<Record<Property, string>>;
  /** the properties of vhost-blk-pci, null where QEMU has no such device */
  vhostBlk: string[] | null;
  /** what it said instead of an answer: it does not start */
  error?: string;
}

interface Reply {
  QMP?: { version?: { qemu?: Record<string, unknown> } };
  id?: unknown;
  return?: unknown;
  error?: { class?: unknown };
}

const MAX_TEXT = 300;

/**
 * Reads what one QEMU printed: QMP, a JSON document a line, with anything it complained about between.
 * @returns the answers, or `error` where it ended before it answered
 */
export function parseQmp(path: string, lines: readonly string[]): SeenQemu {
  const seen: SeenQemu = { path, version: '', values: {}, vhostBlk: null };
  let complaint = '';
  let complete = false;
  for (const line of lines) {
    const reply = parseReply(line);
    if (!reply) {
      if (complaint === '' && line.trim() !== '' && !/\bwarning: /.test(line))
        complaint = line.slice(0, MAX_TEXT);
      continue;
    }
    if (reply.QMP) seen.version = versionText(reply.QMP.version?.qemu);
    if (reply.id === 'bye') complete = true;
    if (reply.id === 'vhost-blk-pci' && Array.isArray(reply.return)) seen.vhostBlk = names(reply.return);
    const property = properties.find((name) => reply.id === `virtio-blk-pci.${name}`);
    const value = valueText(reply.return);
    if (property && value !== undefined) seen.values[property] = value;
  }
  if (!complete || seen.version === '' || Object.keys(seen.values).length === 0)
    seen.error = complaint || 'it ended without an answer';
  return seen;
}

function parseReply(line: string): Reply | null {
  if (!line.startsWith('{')) return null;
  try {
    return JSON.parse(line) as Reply;
  } catch {
    return null;
  }
}

function versionText(version: Record<string, unknown> | undefined): string {
  const parts = ['major', 'minor', 'micro'].map((part) => version?.[part]);
  return parts.every((part) => Number.isInteger(part)) ? parts.join('.') : '';
}

function valueText(value: unknown): string | undefined {
  if (typeof value === 'boolean') return value ? 'on' : 'off';
  if (typeof value === 'number') return String(value);
  return typeof value === 'string' ? value.slice(0, 64) : undefined;
}

function names(list: readonly unknown[]): string[] {
  return list
    .slice(0, 1000)
    .map((entry) => (entry as { name?: unknown } | null)?.name)
    .filter((name): name is string => typeof name === 'string');
}
