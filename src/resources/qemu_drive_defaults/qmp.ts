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
  /** it has vhost-user-blk-pci */
  vhostUser: boolean;
  /** virtqueues of virtio-blk-pci can be spread over iothreads */
  mapping: boolean;
  /** a socket's reconnect is said in milliseconds */
  reconnectMs: boolean;
  /** what it said instead of an answer: it does not start */
  error?: string;
  /** why it is not taken for a QEMU that is known: it starts, and an answer is missing or makes no sense */
  unknown?: string;
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
 * @returns the answers; with `error` where it ended before it answered, with `unknown` where an answer is not one of QEMU
 */
export function parseQmp(path: string, lines: readonly string[]): SeenQemu {
  const seen: SeenQemu = {
    path,
    version: '',
    values: {},
    vhostBlk: null,
    vhostUser: false,
    mapping: false,
    reconnectMs: false,
  };
  let complaint = '';
  const replies = new Map<string, Reply>();
  for (const line of lines) {
    const reply = parseReply(line);
    if (!reply) {
      if (complaint === '' && line.trim() !== '' && !/\bwarning: /.test(line))
        complaint = line.slice(0, MAX_TEXT);
    } else if (reply.QMP) seen.version = versionText(reply.QMP.version?.qemu);
    else if (typeof reply.id === 'string' && !replies.has(reply.id)) replies.set(reply.id, reply);
  }
  if (!replies.has('bye')) {
    seen.error = complaint || 'it ended without an answer';
    return seen;
  }
  const problem = readReplies(seen, replies);
  if (problem !== undefined) seen.unknown = problem;
  return seen;
}

/** Fills in what was answered. @returns what is missing or makes no sense */
function readReplies(seen: SeenQemu, replies: ReadonlyMap<string, Reply>): string | undefined {
  if (seen.version === '') return 'it does not tell its version';
  for (const property of properties) {
    const reply = replies.get(`virtio-blk-pci.${property}`);
    const value = valueText(property, reply?.return);
    if (value === undefined) return `its answer about virtio-blk-pci.${property} is not understood`;
    seen.values[property] = value;
  }
  const patched = replies.get('vhost-blk-pci');
  if (Array.isArray(patched?.return)) seen.vhostBlk = names(patched.return);
  else if (patched?.error?.class !== 'DeviceNotFound')
    return 'its answer about vhost-blk-pci is not understood';
  const user = replies.get('vhost-user-blk-pci')?.return;
  if (!Array.isArray(user)) return 'its answer about vhost-user-blk-pci is not understood';
  seen.vhostUser = names(user).includes('vhost-user-blk-pci');
  const mapping = replies.get('iothread-vq-mapping');
  if (!mapping || (mapping.return === undefined && mapping.error?.class !== 'GenericError'))
    return 'its answer about iothread-vq-mapping is not understood';
  seen.mapping = mapping.return !== undefined;
  const options = (replies.get('chardev')?.return as { parameters?: unknown }[] | undefined)?.[0]?.parameters;
  if (!Array.isArray(options)) return 'its answer about -chardev is not understood';
  seen.reconnectMs = names(options).includes('reconnect-ms');
  return undefined;
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

/** A value as QEMU's text; undefined where it is not one that this property can have. */
function valueText(property: Property, value: unknown): string | undefined {
  switch (property) {
    case 'num-queues':
    case 'queue-size':
      return Number.isInteger(value) && (value as number) > 0 && (value as number) <= 65_535
        ? String(value)
        : undefined;
    case 'discard':
      return typeof value === 'boolean' ? (value ? 'on' : 'off') : undefined;
    case 'write-cache':
      return value === 'on' || value === 'off' || value === 'auto' ? value : undefined;
  }
}

function names(list: readonly unknown[]): string[] {
  return list
    .slice(0, 1000)
    .map((entry) => (entry as { name?: unknown } | null)?.name)
    .filter((name): name is string => typeof name === 'string')
    .map((name) => name.slice(0, 64));
}
