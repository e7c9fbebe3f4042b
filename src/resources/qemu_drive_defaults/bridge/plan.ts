import { printable } from '../../../lib/terminal.ts';
import type { Change } from '../../kind.ts';
import { removal, textChange } from '../changes.ts';
import { bridgedDisks, type DeclaredDisk, type ServedDisk } from '../data-path.ts';
import { servedPath, socketOf, unitName, wantsPath } from '../paths.ts';
import type { FileAnswer, QemuState } from '../probe.ts';
import type { QemuDriveDefaults } from '../schema.ts';
import { keepsGuest, MARK, servedKeys, servedText } from './files.ts';
import { type BridgeUnit, WAITING } from './probe.ts';

/** What apply does for a disk that the bridge serves. */
export interface ServeWork {
  name: string;
  source: string;
  /** the file as it was planned from and as it shall be; undefined where it stays */
  write?: { from: string | null; to: string };
  unit: 'start' | 'restart' | 'leave';
  /** the unit is restarted under a guest, which goes on with the same disk */
  underGuest: boolean;
  boot: boolean;
}

/** What apply does for a file of blkfleet's whose disk the bridge shall not serve any more. */
export interface LeaveWork {
  name: string;
  boot: boolean;
  /** ends the unit and removes the file; not while a guest has the disk */
  end: boolean;
}

export interface BridgePlan {
  changes: Change[];
  serve: ServeWork[];
  leave: LeaveWork[];
  warnings: string[];
  /** what must not be changed now, and why */
  held: Change[];
  reasons: string[];
  blocked?: { message: string; hint: string };
}

const NO_UNIT: Omit<BridgeUnit, 'name'> = {
  ours: false,
  boot: 'no',
  socket: false,
  stale: false,
  serves: false,
  active: 'inactive',
  sub: 'dead',
  status: '',
};

/** What differs of the units vhost-blk@NAME: their files, whether they run now and at boot. */
export function planBridge(profile: QemuDriveDefaults, current: QemuState): BridgePlan {
  const plan: BridgePlan = { changes: [], serve: [], leave: [], warnings: [], held: [], reasons: [] };
  const disks = bridgedDisks(profile, current.offers);
  const { systemd, units } = current.bridge;
  if (disks.length > 0 && !systemd)
    plan.warnings.push('systemd is not the running init there: the disks are served once it is');
  for (const disk of disks) planDisk(profile, disk, current, plan);
  const served = new Set(disks.map(({ name }) => name));
  const foreign = current.offers.bridge.served.filter(({ name }) => !units.get(name)?.ours);
  if (profile.state === 'absent' && foreign.length > 0)
    plan.warnings.push(
      `not blkfleet's, and left as it is: ${foreign
        .slice(0, 8)
        .map(({ name }) => servedPath(name))
        .join(', ')}${foreign.length > 8 ? ' …' : ''}`,
    );
  for (const unit of units.values()) if (unit.ours && !served.has(unit.name)) planLeft(unit, systemd, plan);
  return plan;
}

/** The disks that units serve once the plan is carried out. */
export function servedByThen(profile: QemuDriveDefaults, { offers, bridge }: QemuState): ServedDisk[] {
  const declared = bridgedDisks(profile, offers).map(
    ({ name, source }): ServedDisk => ({ name, source, socket: socketOf(name) }),
  );
  const own = new Set(declared.map(({ name }) => name));
  const others = offers.bridge.served.filter(({ name }) => !own.has(name) && !bridge.units.get(name)?.ours);
  return [...others, ...declared];
}

function planDisk(
  profile: QemuDriveDefaults,
  disk: DeclaredDisk,
  current: QemuState,
  plan: BridgePlan,
): void {
  const { name, source } = disk;
  const { systemd, units } = current.bridge;
  const unit = units.get(name) ?? { name, ...NO_UNIT };
  const file = current.files.get(servedPath(name)) ?? { is: 'missing' };
  const foreign = foreignProblem(disk, file);
  if (foreign !== undefined) {
    plan.blocked ??= {
      message: `${servedPath(name)} is not blkfleet's, and ${foreign}`,
      hint: `name the disk otherwise, or remove that file: it is written anew then, with disk = ${source}`,
    };
    return;
  }
  const from = file.is === 'file' ? file.text : null;
  const to = from !== null && !from.startsWith(MARK) ? from : servedText(disk, profile);
  const write = from === to ? [] : [textChange(servedPath(name), from, to)];
  const running = systemd ? runningChange(disk, unit, write.length > 0) : undefined;
  const boot = bootChange(unit);
  const underGuest = running !== undefined && inUse(unit);
  const work: ServeWork = { name, source, unit: 'leave', underGuest, boot: boot !== undefined };
  const keeps = keepsGuest(servedKeys(from ?? ''), servedKeys(to));
  const reason = underGuest ? holdReason(unit, keeps) : undefined;
  // By a file that was changed since, the unit would go on with a guest's disk that nobody declared, were it to end.
  const writes = write.length > 0 && (reason === undefined || (unit.serves && unit.stale));
  if (writes) work.write = { from, to };
  if (running && reason === undefined) work.unit = running.from === null ? 'start' : 'restart';
  const changes = [
    ...(writes ? write : []),
    ...(running && reason === undefined ? [running] : []),
    ...(boot ? [boot] : []),
  ];
  plan.changes.push(...changes);
  if (changes.length > 0) plan.serve.push(work);
  if (reason !== undefined) {
    plan.held.push(...(writes ? [] : write), running!);
    plan.reasons.push(`${unitName(name)} is not restarted: ${reason}`);
  }
}

/** Why a file that is there can not be taken as the disk's; undefined where it can, or is blkfleet's. */
function foreignProblem({ source }: DeclaredDisk, file: FileAnswer): string | undefined {
  if (file.is === 'missing') return undefined;
  if (file.is !== 'file') return 'it is no regular file of few lines';
  if (file.text.startsWith(MARK)) return undefined;
  const keys = servedKeys(file.text);
  const disk = keys.get('disk');
  if (disk !== source)
    return disk === undefined ? 'it says no disk' : `it says disk = ${printable(disk.slice(0, 200))}`;
  return keys.has('socket') ? 'it says a socket of its own' : undefined;
}

/** From null: it does not run. */
function runningChange(
  { name, source }: DeclaredDisk,
  unit: BridgeUnit,
  writes: boolean,
): Change | undefined {
  const change = (from: string | null, reason?: string): Change => ({
    path: unitName(name),
    from,
    to: `serving ${source}`,
    action: from === null ? '+' : '±',
    ...(reason === undefined ? {} : { reason }),
  });
  const state = printable(unit.sub === '' ? unit.active : `${unit.active} (${unit.sub})`);
  if (unit.active !== 'active') return change(null, `it is ${state}`);
  if (!unit.serves) return change('serving another disk');
  if (writes || unit.stale)
    return change('by another file', 'restarted; the requests of a guest wait that long');
  return unit.socket ? undefined : change('without its socket', `${socketOf(name)} is missing`);
}

function bootChange({ name, boot }: BridgeUnit): Change | undefined {
  if (boot === 'yes') return undefined;
  return {
    path: `${unitName(name)} at boot`,
    from: boot === 'no' ? null : wantsPath(name),
    to: 'started',
    action: boot === 'no' ? '+' : '~',
  };
}

/** Whether a guest may have the disk: what is not known to be free is taken to be in use. */
function inUse({ active, sub, status }: BridgeUnit): boolean {
  if (active === 'inactive' || active === 'failed' || sub === 'auto-restart') return false;
  return active !== 'active' || status !== WAITING;
}

/** Why a unit can not be restarted under its guest; undefined where the guest does not notice it. */
function holdReason(unit: BridgeUnit, keeps: boolean): string | undefined {
  if (unit.active !== 'active') return 'it waits for the requests of a former guest';
  const guest = 'a guest is connected';
  if (!unit.serves) return `${guest}, and has another disk by it; shut that guest down, then apply again`;
  if (unit.stale) return `${guest}, and its file was changed since it was started`;
  if (!keeps) return `${guest}, and has been told of what the new file takes away`;
  return undefined;
}

function planLeft(unit: BridgeUnit, systemd: boolean, plan: BridgePlan): void {
  const { name } = unit;
  const boot = unit.boot === 'yes';
  const ending = [removal(servedPath(name), 'a disk that is not declared')];
  if (systemd && unit.active !== 'inactive') ending.push(removal(unitName(name), printable(unit.active)));
  const used = systemd && inUse(unit);
  if (boot) plan.changes.push(removal(`${unitName(name)} at boot`, 'started'));
  if (used) {
    plan.held.push(...ending);
    plan.reasons.push(
      `${unitName(name)} is not stopped: a guest is connected; apply again when it has ended`,
    );
  } else plan.changes.push(...ending);
  if (boot || !used) plan.leave.push({ name, boot, end: !used });
}
