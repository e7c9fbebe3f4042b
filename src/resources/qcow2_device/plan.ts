import type { HostFacts } from '../../facts/facts.ts';
import { printable } from '../../lib/terminal.ts';
import type { Change, Input, PlanContext, ResourcePlan } from '../kind.ts';
import {
  configFile,
  configPath,
  HELPER,
  helperFile,
  MODULE,
  notePath,
  TOOL,
  unitFile,
  unitPath,
  wantsPath,
} from './files.ts';
import type { ConfigText, LiveDevice, Qcow2DeviceState } from './probe.ts';
import type { Qcow2DeviceDesired } from './schema.ts';

/** What apply does; plan shows it and steps carry it out. */
export interface DeviceWork {
  /** changes of our files on disk, which never disturb a device */
  files: readonly Change[];
  /** changes of the device */
  live: readonly Change[];
  /** why `live` can not be made now */
  hold?: { state: string; reason: string };
}

export function planDevice(
  { desired }: Input<Qcow2DeviceDesired>,
  current: Qcow2DeviceState,
  { facts }: PlanContext,
): ResourcePlan {
  const gate = gateOf(desired, current);
  if (gate) return gate;
  const { files, live, hold } = workOf(desired, current);
  const warnings = warningsOf(desired, facts);
  if (hold && files.length > 0) warnings.push(`${hold.state}: ${hold.reason}`);
  const extra = warnings.length > 0 ? { warnings } : {};
  const changes = [...files, ...(hold ? [] : live)];
  if (changes.length > 0) return { status: 'change', changes, ...extra };
  if (hold) return { status: 'held', changes: live, ...hold, ...extra };
  return { status: 'ok', reason: okReason(desired, current), ...extra };
}

/** What differs, for a host that no gate stops. A hold is there only where the device differs. */
export function workOf(desired: Qcow2DeviceDesired, current: Qcow2DeviceState): DeviceWork {
  const work = desired.state === 'absent' ? absentWork(desired, current) : presentWork(desired, current);
  const hold = work.live.length > 0 ? holdOf(desired, current.device) : undefined;
  if (!hold) return work;
  // In use it keeps what detaches it at shutdown; only the next boot shall be without it.
  const files = desired.state === 'absent' ? work.files.filter(({ path }) => path === 'boot') : work.files;
  return { files, live: work.live, hold };
}

function gateOf(desired: Qcow2DeviceDesired, current: Qcow2DeviceState): ResourcePlan | undefined {
  const { name } = desired;
  const { device, image } = current;
  if (device && !current.hasDmsetup)
    return blocked(
      `/dev/mapper/${name} is there, and no dmsetup to look at it with`,
      'install the package dmsetup',
    );
  if (desired.state === 'absent') return undefined;
  if (device && device.target !== 'qcow2')
    return blocked(
      `/dev/mapper/${name} is there, and no device of the target qcow2`,
      'declare another name; dmsetup table tells what it is',
    );
  if (image.is === 'other')
    return blocked(`${desired.image} is no regular file`, 'only files are attached, no block devices');
  if (device?.noted && device.noted.image === desired.image && image.is === 'missing')
    return blocked(
      `${desired.image} was removed while it is attached: what it holds is lost when ${name} is detached`,
      `copy the disk while it is there: qemu-img convert -O qcow2 /dev/mapper/${name} NEW`,
    );
  return undefined;
}

function presentWork(desired: Qcow2DeviceDesired, current: Qcow2DeviceState): DeviceWork {
  const files = [...configChanges(desired, current), ...unitChanges(desired, current)];
  const { device } = current;
  return { files, live: device ? deviceChanges(desired, current, device) : [attachment(desired, current)] };
}

function attachment(desired: Qcow2DeviceDesired, current: Qcow2DeviceState): Change {
  const missing = [
    ...(current.image.is === 'missing' ? ['the image'] : []),
    ...(current.moduleLoaded ? [] : [`the module ${MODULE}`]),
    ...(current.hasTool ? [] : [TOOL]),
    ...(current.hasDmsetup ? [] : ['dmsetup']),
  ];
  return {
    path: 'attached',
    from: null,
    to: `${desired.image}, ${modeText(desired.read_only)}`,
    action: '+',
    ...(missing.length > 0
      ? { reason: `not there yet: ${missing.join(', ')}; a task before this one must bring it` }
      : {}),
  };
}

function deviceChanges(desired: Qcow2DeviceDesired, current: Qcow2DeviceState, device: LiveDevice): Change[] {
  const changes: Change[] = [];
  const differs = (path: string, from: string, to: string, reason = 'by detaching and attaching it') =>
    changes.push({ path, from: printable(from), to, action: '±', reason });
  if (!isDeclaredImage(current, device)) {
    const from = device.noted?.image ?? `inode ${device.inode}`;
    if (from === desired.image)
      differs('image', `${from}, inode ${device.inode}`, from, 'another file has that name now');
    else differs('image', from, desired.image!);
  }
  if (device.readOnly !== desired.read_only)
    differs('read_only', String(device.readOnly), String(desired.read_only));
  if (device.cacheKib !== String(desired.cache_kib))
    differs('cache_kib', device.cacheKib, String(desired.cache_kib));
  if (device.failed) differs('state', 'failed', 'rw', 'nothing is written to its image any more');
  if (device.suspended) differs('state', 'suspended', 'active', 'all I/O to it waits');
  return changes;
}

/** By device and inode where the note tells both; else by the inode, which is all that the kernel tells. */
export function isDeclaredImage({ image }: Qcow2DeviceState, { noted, inode }: LiveDevice): boolean {
  if (image.is !== 'file') return false;
  return noted ? noted.file === image.id : image.id.split(':')[1] === inode;
}

function holdOf({ name, state }: Qcow2DeviceDesired, device: LiveDevice | undefined): DeviceWork['hold'] {
  if (device?.target !== 'qcow2') return undefined;
  if (device.failed && state === 'present')
    return {
      state: 'failed',
      reason:
        'writing its image has failed, see the kernel log; stop who uses it, detach it, run qemu-img check -r all on the image',
    };
  if (device.suspended)
    return {
      state: 'suspended',
      reason: `somebody works on its image; blkfleet-qcow2 resume ${name} ends that`,
    };
  if (device.open === 0 && device.holders.length === 0) return undefined;
  const by =
    device.holders.length > 0
      ? `held by ${device.holders.map(printable).join(', ')}`
      : device.open === undefined
        ? 'perhaps in use'
        : `open ${device.open} times`;
  return { state: 'pending-drain', reason: `it is ${by}; it is not touched until nothing uses it` };
}

/** Where a config is there, each field of it that differs; it counts from the next attachment on. */
function configChanges(desired: Qcow2DeviceDesired, current: Qcow2DeviceState): Change[] {
  const wanted = configFile(desired);
  const there = current.ours.get(wanted.path);
  if (there === wanted.sha256) return [];
  if (there === undefined) return [{ path: 'config', from: null, to: wanted.path, action: '+' }];
  const fields = there === '' || !current.config ? [] : fieldChanges(desired, current.config);
  return fields.length > 0 ? fields : [{ path: 'config', from: 'differs', to: wanted.path, action: '~' }];
}

function fieldChanges(desired: Qcow2DeviceDesired, config: ConfigText): Change[] {
  const pairs: [string, string | undefined, string][] = [
    ['image', config.image, desired.image!],
    ['read_only', config.read_only, desired.read_only ? 'yes' : 'no'],
    ['base', config.base.join(':'), desired.base.join(':')],
    ['cache_kib', config.cache_kib, String(desired.cache_kib)],
  ];
  return pairs.flatMap(([field, from, to]): Change[] =>
    from === to
      ? []
      : [
          {
            path: `config.${field}`,
            from: from ? printable(from) : null,
            to: to || null,
            action: from ? (to ? '~' : '-') : '+',
          },
        ],
  );
}

function unitChanges(desired: Qcow2DeviceDesired, current: Qcow2DeviceState): Change[] {
  const changes: Change[] = [];
  const unit = unitFile(desired);
  const there = current.ours.get(unit.path);
  if (there !== unit.sha256 || current.ours.get(HELPER) !== helperFile().sha256)
    changes.push({
      path: 'unit',
      from: there === undefined ? null : 'differs',
      to: unit.path,
      action: there === undefined ? '+' : '~',
    });
  const link = current.enabled ? 'attached' : current.kept.has(wantsPath(desired.name)) ? 'differs' : null;
  const wanted = desired.boot ? 'attached' : null;
  if (link !== wanted)
    changes.push({
      path: 'boot',
      from: link,
      to: wanted,
      action: wanted === null ? '-' : link === null ? '+' : '~',
    });
  return changes;
}

function absentWork({ name }: Qcow2DeviceDesired, current: Qcow2DeviceState): DeviceWork {
  const removal = (path: string, from: string): Change => ({ path, from, to: null, action: '-' });
  const files = [
    ...(current.kept.has(wantsPath(name)) ? [removal('boot', 'attached')] : []),
    ...(current.ours.has(unitPath(name)) ? [removal('unit', unitPath(name))] : []),
    ...(current.ours.has(configPath(name)) ? [removal('config', configPath(name))] : []),
  ];
  const { device } = current;
  const ours = device?.target === 'qcow2';
  if (!ours && current.kept.has(notePath(name))) files.push(removal('note', notePath(name)));
  if (!ours) return { files, live: [] };
  const image = device.noted?.image ?? current.config?.image;
  const what = `${image === undefined ? `inode ${device.inode}` : printable(image)}, ${modeText(device.readOnly)}`;
  return { files, live: [removal('attached', what)] };
}

function warningsOf(desired: Qcow2DeviceDesired, facts: HostFacts): string[] {
  return desired.state === 'present' && desired.boot && !facts.systemd
    ? ['systemd is not the running init there: the unit takes effect once it is']
    : [];
}

function okReason(desired: Qcow2DeviceDesired, { device }: Qcow2DeviceState): string {
  const path = `/dev/mapper/${desired.name}`;
  if (desired.state === 'present') return `${path} is ${desired.image}, ${modeText(desired.read_only)}`;
  return device ? `${path} is no device of the target qcow2, and not ours` : `${path} is not there`;
}

const modeText = (readOnly: boolean) => (readOnly ? 'ro' : 'rw');

function blocked(message: string, hint: string): ResourcePlan {
  return { status: 'blocked', code: 'E_BLOCKED', message, hint };
}
