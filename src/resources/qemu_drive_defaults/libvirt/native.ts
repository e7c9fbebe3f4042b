import type { QemuDriveDefaults } from '../schema.ts';
import type { Disk, Domain } from './domain.ts';
import { attribute, child } from './xml.ts';

type Json = Readonly<Record<string, unknown>>;

/** The words of a command line as libvirt prints it for a shell: quotes and backslashes, no expansions. */
export function shellSplit(text: string): string[] {
  const words: string[] = [];
  let word: string | null = null;
  for (let at = 0; at < text.length; at += 1) {
    const character = text[at]!;
    if (character === "'") {
      const end = text.indexOf("'", at + 1);
      word = (word ?? '') + text.slice(at + 1, end < 0 ? text.length : end);
      at = end < 0 ? text.length : end;
    } else if (character === '"') word ??= '';
    else if (character === '\\') {
      // A backslash before a line break joins two lines.
      if (text[at + 1] !== '\n') word = (word ?? '') + (text[at + 1] ?? '');
      at += 1;
    } else if (/\s/.test(character)) {
      if (word !== null) words.push(word);
      word = null;
    } else word = (word ?? '') + character;
  }
  if (word !== null) words.push(word);
  return words;
}

function objectsOf(words: readonly string[], option: string): Json[] {
  return words.flatMap((word, index) => {
    if (words[index - 1] !== option) return [];
    try {
      const value: unknown = JSON.parse(Buffer.from(word, 'latin1').toString('utf8'));
      return typeof value === 'object' && value !== null ? [value as Json] : [];
    } catch {
      return [];
    }
  });
}

/** What QEMU gets for one disk, as text; keys as the profile has them. */
type NativeDisk = Readonly<Record<string, string>>;

/**
 * What of a domain's disks does not get to QEMU as its definition says, by the command line that libvirt makes of it.
 * @returns a line a value; empty where all is well
 */
export function nativeProblems(domain: Domain, native: string, profile: QemuDriveDefaults): string[] {
  const words = shellSplit(native);
  const devices = objectsOf(words, '-device');
  const nodes = new Map(objectsOf(words, '-blockdev').map((node) => [node['node-name'], node]));
  const disks = domain.disks.filter(
    ({ bus, type }) => bus === 'virtio' && ['block', 'file', 'vhostuser'].includes(type),
  );
  return disks.flatMap((disk) => {
    const device = devices.find(({ id }) => id === aliasOf(disk));
    if (!device) return [`${disk.target} is not among the devices of its command line`];
    const seen = nativeDisk(device, nodes);
    return Object.entries(wantedDisk(disk, profile)).flatMap(([key, value]) =>
      seen[key] === value ? [] : [`${disk.target} ${key} is ${seen[key] ?? 'unset'}, not ${value}`],
    );
  });
}

/** libvirt's name of a disk's device: by the place of its letters, as it makes it. */
function aliasOf(disk: Disk): string {
  const own = attribute(child(disk.element, 'alias'), 'name');
  if (own !== undefined) return own;
  const letters = /^vd([a-z]{1,3})$/.exec(disk.target)?.[1] ?? '';
  const index = [...letters].reduce((sum, letter) => sum * 26 + (letter.charCodeAt(0) - 96), 0) - 1;
  return `virtio-disk${index}`;
}

function nativeDisk(device: Json, nodes: ReadonlyMap<unknown, Json>): NativeDisk {
  const seen: Record<string, string> = {
    queues: String(device['num-queues'] ?? 'vcpus'),
    queue_size: String(device['queue-size'] ?? 'default'),
  };
  // From the device down: a format's node has its file's, each may say something.
  let node = nodes.get(device.drive);
  for (let depth = 0; node && depth < 8; depth += 1) {
    const cache = node.cache as Json | undefined;
    if (cache) seen.direct = String(cache.direct === true);
    if (typeof node.aio === 'string') seen.aio = node.aio;
    if (typeof node.discard === 'string') seen.discard = node.discard;
    if (typeof node['detect-zeroes'] === 'string') seen.detect_zeroes = node['detect-zeroes'];
    node = nodes.get(node.file);
  }
  return seen;
}

function wantedDisk(disk: Disk, profile: QemuDriveDefaults): NativeDisk {
  const queues = {
    queues: profile.queues === 'vcpus' ? 'vcpus' : String(profile.queues),
    queue_size: String(profile.queue_size),
  };
  if (disk.type === 'vhostuser') return queues;
  return {
    ...queues,
    direct: String(profile.cache === 'none' || profile.cache === 'directsync'),
    aio: profile.aio,
    discard: profile.discard,
    ...(profile.detect_zeroes === 'off' ? {} : { detect_zeroes: profile.detect_zeroes }),
  };
}
