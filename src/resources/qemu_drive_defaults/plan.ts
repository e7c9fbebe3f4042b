import { createHash } from 'node:crypto';
import { lineDiff } from '../../lib/line-diff.ts';
import { printable } from '../../lib/terminal.ts';
import type { Change, Input, ResourcePlan } from '../kind.ts';
import { CHOSEN, CONF, type DataPath, dataPaths, FRAGMENTS, fragmentPath, KEPT } from './paths.ts';
import type { FileAnswer, QemuState } from './probe.ts';
import {
  chosenPath,
  declaredValues,
  everyHasVhostBlk,
  fragments,
  properties,
  sectionText,
} from './profile.ts';
import { TRIAL_VCPUS } from './readback.ts';
import type { QemuDriveDefaults } from './schema.ts';
import { foreignLines, type SplitConf, splitConf, withoutSection, withSection } from './section.ts';

/** The files as they shall be: text, latin1; null where one shall not exist. */
export interface Wanted {
  conf: string | null;
  fragments: Record<DataPath, string | null>;
  chosen: DataPath | null;
}

/** What differs between the profile and the host's files, and between the profile and what QEMU sees. */
export function planQemu(input: Input<QemuDriveDefaults>, current: QemuState): ResourcePlan {
  const { desired } = input;
  if (desired.state === 'present' && current.binaries.length === 0 && desired.absent_ok)
    return { status: 'ok', reason: 'no QEMU is on this host, and absent_ok is declared' };
  const problem = fileProblem(current);
  if (problem) return problem;
  const split = splitConf(confText(current)) as SplitConf;
  const changes = fileChanges(current, wantedFiles(desired, current));
  if (desired.state === 'absent') {
    if (current.kept) changes.push(removal(KEPT, 'what blkfleet keeps for itself'));
    if (changes.length === 0) return { status: 'ok', reason: 'no default of blkfleet is set' };
    return { status: 'change', changes };
  }
  const unfit = qemuProblem(desired, current, changes.length === 0);
  if (unfit) return unfit;
  const warnings = warningsOf(current, split);
  const effective = effectiveChanges(desired, current);
  if (changes.length === 0 && effective.length === 0)
    return { status: 'ok', reason: reasonText(desired, current), warnings };
  // The files say it, they were read by this QEMU, and nothing of ours could make it see more.
  if (!changes.some(({ path }) => path === CONF) && effective.length > 0)
    return blocked(
      `QEMU does not see what ${CONF} says: ${effective.map((c) => `${c.path} is ${c.from}, not ${c.to}`).join('; ')}`,
      'this QEMU was built to read another file, or a later group of that file says otherwise; see docs/qemu_drive_defaults.md',
    );
  return { status: 'change', changes: [...changes, ...effective], warnings };
}

/** The files for this declaration on this host. */
export function wantedFiles(desired: QemuDriveDefaults, current: QemuState): Wanted {
  const split = splitConf(confText(current)) as SplitConf;
  if (desired.state === 'absent') {
    const none = { 'virtio-blk': null, 'vhost-user-blk': null, 'vhost-blk': null };
    const conf = split.section === null ? confText(current) : withoutSection(split);
    return { conf, fragments: none, chosen: null };
  }
  return {
    conf: withSection(split, sectionText(desired, current.seen)),
    fragments: fragments(desired, current.seen),
    chosen: chosenPath(desired, current.seen).path,
  };
}

/** The text of qemu.conf; null where there is none. */
export function confText({ conf }: QemuState): string | null {
  return conf.is === 'file' ? conf.text : null;
}

function fileProblem(current: QemuState): ResourcePlan | undefined {
  const { conf } = current;
  if (conf.is === 'big')
    return blocked(`${CONF} is larger than 64 KiB`, 'no QEMU configuration is: look at it');
  if (conf.is === 'other')
    return blocked(
      `${CONF} is no regular file that can be read`,
      'a link is not followed; put a file in its place',
    );
  for (const path of dataPaths) {
    const { is } = current.fragments[path];
    if (is === 'other' || is === 'big')
      return blocked(`${fragmentPath(path)} is not a file of blkfleet`, 'move it away');
  }
  if (current.chosen === '') return blocked(`${CHOSEN} is not the link of blkfleet`, 'move it away');
  const split = splitConf(confText(current));
  if ('problem' in split)
    return blocked(
      `${CONF}: ${split.problem}`,
      "put the marks back, or remove blkfleet's lines and both marks",
    );
  return undefined;
}

/** Where QEMU can not do what is declared. `settled`: our files are as declared, so a QEMU that fails does so by others. */
function qemuProblem(
  desired: QemuDriveDefaults,
  current: QemuState,
  settled: boolean,
): ResourcePlan | undefined {
  if (current.notSeen === 'unknown')
    return blocked('QEMU on this architecture is not known', 'leave the host out with when:');
  const broken = current.seen.find((qemu) => qemu.error !== undefined);
  const ours = splitConf(confText(current)) as SplitConf;
  if (broken && (settled || ours.section === null))
    return blocked(
      `${broken.path} does not start: ${printable(broken.error!)}`,
      `try ${broken.path} -M none -S by hand, and mend ${CONF}`,
    );
  if (
    desired.data_path === 'vhost-blk' &&
    current.seen.length > 0 &&
    !broken &&
    !everyHasVhostBlk(current.seen)
  )
    return blocked(
      `data_path is vhost-blk, and ${withoutVhostBlk(current)} has no vhost-blk-pci`,
      'only patched builds of QEMU have it; declare data_path: auto, or name such a build in binaries',
    );
  return undefined;
}

function withoutVhostBlk({ seen }: QemuState): string {
  return seen
    .filter((qemu) => qemu.vhostBlk === null)
    .map((qemu) => `${qemu.path} (${qemu.version})`)
    .join(', ');
}

function fileChanges(current: QemuState, wanted: Wanted): Change[] {
  const changes: Change[] = [];
  const texts: [string, FileAnswer, string | null][] = [
    [CONF, current.conf, wanted.conf],
    ...dataPaths.map((path): [string, FileAnswer, string | null] => [
      fragmentPath(path),
      current.fragments[path],
      wanted.fragments[path],
    ]),
  ];
  for (const [path, answer, to] of texts) {
    const from = answer.is === 'file' ? answer.text : null;
    if (from === to) continue;
    const diff = lineDiff(path, Buffer.from(from ?? '', 'latin1'), Buffer.from(to ?? '', 'latin1'));
    changes.push({
      path,
      from: from === null ? null : contentName(from),
      to: to === null ? null : contentName(to),
      action: from === null ? '+' : to === null ? '-' : '~',
      ...(diff ? { diff } : {}),
    });
  }
  const to = wanted.chosen === null ? null : `${wanted.chosen}.conf`;
  if (current.chosen !== to)
    changes.push({
      path: CHOSEN,
      from: current.chosen === null ? null : printable(current.chosen),
      to,
      action: current.chosen === null ? '+' : to === null ? '-' : '~',
    });
  return changes;
}

function contentName(text: string): string {
  const hash = createHash('sha256').update(text, 'latin1').digest('hex');
  return `sha256:${hash.slice(0, 12)}, ${text.length} bytes`;
}

/** Values that a QEMU sees and that are not those declared, named `PROGRAM DRIVER.PROPERTY`. */
function effectiveChanges(desired: QemuDriveDefaults, current: QemuState): Change[] {
  const declared = declaredValues(desired);
  return current.seen.flatMap((qemu) =>
    qemu.error !== undefined
      ? []
      : properties.flatMap((property): Change[] => {
          const seen = qemu.values[property];
          const auto = property === 'num-queues' && desired.queues === 'vcpus';
          if (seen === (auto ? String(TRIAL_VCPUS) : declared[property])) return [];
          return [
            {
              path: `${qemu.path} virtio-blk-pci.${property}`,
              from: seen === undefined ? null : shown(property, printable(seen)),
              to: auto ? 'vcpus' : declared[property],
              action: '~',
              reason: `as QEMU ${qemu.version} sees it`,
            },
          ];
        }),
  );
}

/** The throw-away machine's number of vCPUs means that QEMU follows it. */
function shown(property: string, value: string): string {
  return property === 'num-queues' && value === String(TRIAL_VCPUS) ? 'vcpus' : value;
}

function warningsOf(current: QemuState, split: SplitConf): string[] {
  const warnings: string[] = [];
  if (current.binaries.length === 0)
    warnings.push('no QEMU is on this host yet: a task before this one has to install it');
  if (current.libvirt)
    warnings.push(
      `no effect on libvirt domains: libvirt starts QEMU with -no-user-config, which leaves ${CONF} out; set <driver cache io discard queues> in each domain`,
    );
  if (current.notSeen === 'unsafe')
    warnings.push(
      `not read back: ${CONF} holds groups other than [global], which a trial could not start without touching what they name`,
    );
  if (everyHasVhostBlk(current.seen))
    warnings.push(
      'the defaults of vhost-blk-pci are known to be properties of it, but not read back: such a disk can not be made without a block device and /dev/vhost-blk',
    );
  const lines = foreignLines(split, confText(current) ?? '');
  if (lines.length > 0)
    warnings.push(
      `${CONF} names virtio-blk or vhost-blk in line ${lines.join(', ')} too, outside blkfleet's lines; of two defaults the later one counts`,
    );
  return warnings;
}

function reasonText(desired: QemuDriveDefaults, current: QemuState): string {
  const { path, reason } = chosenPath(desired, current.seen);
  const versions = current.seen.map((qemu) => `${qemu.path} ${qemu.version}`).join(', ');
  return `${versions === '' ? 'the files are as declared' : `${versions} sees them`}; cache, aio and detect-zeroes have no default in QEMU: they stand in ${FRAGMENTS}; data path ${path} (${reason})`;
}

function removal(path: string, what: string): Change {
  return { path, from: what, to: null, action: '-' };
}

function blocked(message: string, hint: string): ResourcePlan {
  return { status: 'blocked', code: 'E_BLOCKED', message, hint };
}
