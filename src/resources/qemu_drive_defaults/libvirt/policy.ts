import type { QemuDriveDefaults } from '../schema.ts';
import {
  behindSocket,
  countIothreads,
  type DriverAttributes,
  driverEdits,
  editedText,
  enoughIothreads,
  outerText,
  owned,
  replace,
  restoreChild,
  restoreElement,
  sharedMemory,
  shareMemory,
} from './definition-edits.ts';
import type { Disk, Domain } from './domain.ts';
import { applyEdits, attribute, child, type Edit } from './xml.ts';

/** What the host offers to a domain's disks. */
export interface Offers {
  /** socket of the bridge by the path that it serves */
  sockets: ReadonlyMap<string, string>;
  /** a disk's virtqueues can be spread over iothreads: QEMU and libvirt know it */
  mapping: boolean;
}

/** One disk that differs: attributes with what they are and shall be. */
export interface DiskDrift {
  target: string;
  from: string;
  to: string;
  reason: string;
}

export interface DomainPlan {
  /** the definition as it shall be; `current.text` where nothing differs */
  text: string;
  drift: readonly DiskDrift[];
  /** disks that the policy does not reach, with the reason */
  left: readonly string[];
}

/** What libvirt refuses in a disk behind a socket, so that a disk that has it is not moved there. */
const refusedBehindSocket = [
  'serial',
  'wwn',
  'vendor',
  'product',
  'iotune',
  'blockio',
  'geometry',
  'encryption',
  'auth',
  'mirror',
  'shareable',
  'readonly',
  'transient',
];

/**
 * The definition of a domain by the profile. Each disk of virtio gets the path that the profile chooses; what the policy
 * does not own stays.
 * @param original the definition before the first change of ours; a disk that was moved behind a socket is made from it
 */
export function domainByProfile(
  profile: QemuDriveDefaults,
  current: Domain,
  original: Domain | undefined,
  offers: Offers,
): DomainPlan {
  const edits: Edit[] = [];
  const drift: DiskDrift[] = [];
  const left: string[] = [];
  let sockets = false;
  let movedBack = false;
  let threads = 0;
  for (const [index, disk] of current.disks.entries()) {
    const skipped = outOfReach(disk);
    if (skipped) {
      left.push(`${disk.target}: ${skipped}`);
      continue;
    }
    const before = original?.disks.find(({ target }) => target === disk.target);
    const moved = disk.type === 'vhostuser' && before !== undefined && before.type !== 'vhostuser';
    const base = moved ? before : disk;
    const choice = diskPath(profile, base, offers);
    if (choice.note) left.push(`${disk.target}: ${choice.note}`);
    if (choice.socket !== undefined) {
      sockets = true;
      const attributes = queueAttributes(profile);
      if (disk.type === 'vhostuser') {
        if (moved && disk.source !== choice.socket) {
          edits.push(replace(disk, behindSocket(base, original!.text, choice.socket, attributes)));
          drift.push({
            target: disk.target,
            from: disk.source ?? '',
            to: choice.socket,
            reason: choice.reason,
          });
        } else collect(disk, attributes, null, choice.reason);
      } else {
        edits.push(replace(disk, behindSocket(base, current.text, choice.socket, attributes)));
        drift.push({
          target: disk.target,
          from: `${disk.type} ${disk.source}`,
          to: `vhostuser ${choice.socket}`,
          reason: `${choice.reason}; cache and io are implicit there: the kernel works below the page cache`,
        });
      }
      continue;
    }
    const spread = offers.mapping && profile.iothreads > 1 && profile.queues !== 1;
    threads = profile.iothreads;
    const attributes = {
      ...driverAttributes(profile),
      iothread: spread ? null : String((index % profile.iothreads) + 1),
    };
    if (moved) {
      movedBack = true;
      const driver = child(base.element, 'driver');
      const made = driverEdits(base, driver, attributes, spread ? profile.iothreads : 0, original!.text);
      edits.push(replace(disk, editedText(base.element, original!.text, made.edits)));
      drift.push({
        target: disk.target,
        from: `vhostuser ${disk.source}`,
        to: `${base.type} ${base.source}`,
        reason: choice.reason,
      });
    } else collect(disk, attributes, spread ? profile.iothreads : 0, choice.reason);
  }
  if (sockets && !sharedMemory(current.root)) {
    edits.push(...shareMemory(current));
    drift.push({
      target: 'memory',
      from: 'private',
      to: 'shared (memfd)',
      reason: 'a disk behind a socket reads and writes the guest memory itself',
    });
  }
  if (movedBack && !sockets) edits.push(...restoreElement('memoryBacking', current, original!));
  if (threads > countIothreads(current.root)) {
    edits.push(...enoughIothreads(current, threads));
    drift.push({
      target: 'iothreads',
      from: String(countIothreads(current.root)),
      to: String(threads),
      reason: 'disks of this domain use them',
    });
  }
  return { text: applyEdits(current.text, edits), drift, left };

  function collect(disk: Disk, wanted: DriverAttributes, spread: number | null, reason: string): void {
    const driver = child(disk.element, 'driver');
    const made = driverEdits(disk, driver, wanted, spread, current.text);
    if (made.edits.length === 0) return;
    edits.push(...made.edits);
    drift.push({ target: disk.target, from: made.from, to: made.to, reason });
  }
}

/** The definition with everything that the policy owns as it was before the first change. */
export function domainRestored(current: Domain, original: Domain): DomainPlan {
  const edits: Edit[] = [];
  const drift: DiskDrift[] = [];
  let moved = false;
  for (const disk of current.disks) {
    const before = original.disks.find(({ target }) => target === disk.target);
    if (before?.bus !== 'virtio') continue;
    const reason = 'as it was before blkfleet';
    if (disk.type !== before.type) {
      if (disk.type !== 'vhostuser') continue;
      moved = true;
      edits.push(replace(disk, outerText(before.element, original.text)));
      drift.push({
        target: disk.target,
        from: `${disk.type} ${disk.source}`,
        to: `${before.type} ${before.source}`,
        reason,
      });
      continue;
    }
    const old = child(before.element, 'driver');
    const wanted = Object.fromEntries(owned.map((name) => [name, attribute(old, name) ?? null]));
    const made = driverEdits(disk, child(disk.element, 'driver'), wanted, null, current.text);
    const threads = restoreChild(disk.element, old, original.text, current.text);
    if (made.edits.length + threads.length === 0) continue;
    edits.push(...made.edits, ...threads);
    drift.push({
      target: disk.target,
      from: made.from || 'iothreads',
      to: made.to || 'none',
      reason,
    });
  }
  const roots = [...(moved ? ['memoryBacking'] : []), 'iothreads', 'iothreadids'];
  const outer = roots.flatMap((name) => restoreElement(name, current, original));
  if (outer.length > 0 && drift.length === 0)
    drift.push({ target: 'iothreads', from: 'ours', to: 'as before', reason: 'as it was before blkfleet' });
  return { text: applyEdits(current.text, [...edits, ...outer]), drift, left: [] };
}

function outOfReach(disk: Disk): string | undefined {
  if (disk.bus !== 'virtio') return `on the bus ${disk.bus || 'of the machine'}, not virtio`;
  if (!['block', 'file', 'vhostuser'].includes(disk.type))
    return `of type ${disk.type}, whose cache and io another process decides`;
  return undefined;
}

/** Where a disk goes: behind the socket that serves it, or by virtio-blk. */
function diskPath(
  profile: QemuDriveDefaults,
  disk: Disk,
  offers: Offers,
): { socket?: string; reason: string; note?: string } {
  if (disk.type === 'vhostuser')
    return { socket: disk.source ?? '', reason: 'it is behind a socket already' };
  const socket = disk.source === null ? undefined : offers.sockets.get(disk.source);
  if (profile.data_path === 'virtio-blk') return { reason: 'declared' };
  if (profile.data_path === 'vhost-blk')
    return { reason: 'virtio-blk', note: 'libvirt knows no vhost-blk-pci: it goes by virtio-blk' };
  if (socket === undefined) {
    const reason = 'no vhost-blk@ unit serves it';
    return profile.data_path === 'auto'
      ? { reason: `virtio-blk: ${reason}` }
      : { reason, note: `${reason}: it goes by virtio-blk` };
  }
  const kept = refusedBehindSocket.find((name) => child(disk.element, name));
  if (kept !== undefined)
    return { reason: 'virtio-blk', note: `libvirt refuses <${kept}> behind a socket: it goes by virtio-blk` };
  if (attribute(child(disk.element, 'driver'), 'type') !== 'raw')
    return { reason: 'virtio-blk', note: 'the bridge serves raw disks only: it goes by virtio-blk' };
  return { socket, reason: 'a vhost-blk@ unit serves it' };
}

function driverAttributes(profile: QemuDriveDefaults): DriverAttributes {
  return {
    cache: profile.cache,
    io: profile.aio,
    discard: profile.discard,
    detect_zeroes: profile.detect_zeroes,
    ...queueAttributes(profile),
  };
}

/** Without queues QEMU makes one a vCPU. */
function queueAttributes(profile: QemuDriveDefaults): DriverAttributes {
  return {
    queues: profile.queues === 'vcpus' ? null : String(profile.queues),
    queue_size: String(profile.queue_size),
  };
}
