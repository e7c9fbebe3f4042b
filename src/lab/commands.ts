import { readFile } from 'node:fs/promises';
import { FleetError } from '../lib/errors.ts';
import { withLock } from './debian/cache.ts';
import { removeTree } from './debian/root.ts';
import { makeLab, startLab, waitForLogin } from './host.ts';
import type { Progress } from './progress.ts';
import { currentRecord, endQemu, findQemu, isRunning, waitForEnd } from './qemu.ts';
import { greets, sshInteractive, sshRun } from './ssh.ts';
import { type Accel, type KernelLine, kernelLines, type LabRecord, labFiles } from './state.ts';

export const defaultLab = 'lab';

export interface LabChoice {
  /** default `lab` */
  name?: string | undefined;
  /** for a new lab; default 6.1 */
  kernel?: string | undefined;
  /** default tcg: KVM is used only where it is asked for */
  accel?: string | undefined;
}

export interface LabStatus {
  name: string;
  /** `booting`: QEMU runs, sshd does not greet yet */
  status: 'absent' | 'stopped' | 'booting' | 'running';
  kernel: KernelLine | null;
  release: string | null;
  accel: Accel | null;
  address: string | null;
  port: number | null;
  pid: number | null;
  folder: string;
  inventory: string | null;
}

/**
 * Makes the lab where there is none, starts it where it does not run, and waits until it lets us in.
 * @throws FleetError E_USAGE where the lab exists with another kernel, E_FILE, E_STEP, E_UNREACHABLE
 */
export async function labUp(choice: LabChoice, progress: Progress, signal?: AbortSignal): Promise<LabStatus> {
  const name = choice.name ?? defaultLab;
  const files = labFiles(name);
  const kernel = oneOf('--kernel', choice.kernel, kernelLines);
  const accel = oneOf('--accel', choice.accel, ['tcg', 'kvm'] as const);
  await withLock(files.lock, progress.say, async () => {
    let record = await currentRecord(name, files);
    if (record && kernel && record.kernel !== kernel)
      throw new FleetError({
        code: 'E_USAGE',
        message: `the lab '${record.name}' has kernel ${record.kernel}, not ${kernel}`,
        hint: `give the new one a name (\`--name lab-${kernel.replace('.', '-')}\`), or \`blkfleet lab destroy\` this one`,
      });
    if (!record) {
      // One whose record is gone would go on writing to a disk that is about to be replaced.
      await endQemu(name, await findQemu(name, files), 3000);
      record = await makeLab(
        files,
        { name, kernel: kernel ?? '6.1', accel: accel ?? 'tcg' },
        progress,
        signal,
      );
    }
    if (await isRunning(record.name, record.process)) {
      progress.step('the lab runs; waiting for its sshd');
      await waitForLogin(files, record, progress, signal);
      return;
    }
    const started = await startLab(files, { ...record, accel: accel ?? record.accel }, progress);
    try {
      await waitForLogin(files, started.record, progress, signal);
    } catch (error) {
      // A guest that we interrupt, or that does not come up, is not left running unseen.
      await endQemu(record.name, started.record.process, 5000);
      throw error;
    }
  }).finally(() => progress.end());
  return labStatus(name);
}

/** What is there, without changing it. */
export async function labStatus(name: string = defaultLab): Promise<LabStatus> {
  const files = labFiles(name);
  const record = await currentRecord(name, files);
  const running = record !== null && (await isRunning(record.name, record.process));
  const greeted = running && (await greets(record.port, 3000));
  return {
    name,
    status: record === null ? 'absent' : greeted ? 'running' : running ? 'booting' : 'stopped',
    kernel: record?.kernel ?? null,
    release: record?.release ?? null,
    accel: record?.accel ?? null,
    address: running ? '127.0.0.1' : null,
    port: running ? record.port : null,
    pid: running ? record.process!.pid : null,
    folder: files.folder,
    inventory: record ? files.inventory : null,
  };
}

/**
 * The inventory of a lab that runs, whose last lines are those of the group `hypervisors`.
 * @throws FleetError E_UNREACHABLE
 */
export async function labInventory(name: string | undefined): Promise<string> {
  const { files } = await runningLab(name);
  return readFile(files.inventory, 'utf8');
}

/** Gives the terminal to a shell or a command in the lab. @returns its exit status */
export async function labSsh(name: string | undefined, command: readonly string[]): Promise<number> {
  const { files, record } = await runningLab(name);
  return sshInteractive(files, record, command);
}

/**
 * Boots the lab anew, by its own `reboot`, and waits until it lets us in.
 * @throws FleetError E_UNREACHABLE
 */
export async function labReboot(
  name: string | undefined,
  progress: Progress,
  signal?: AbortSignal,
): Promise<LabStatus> {
  const files = labFiles(name ?? defaultLab);
  await withLock(files.lock, progress.say, async () => {
    const { record } = await runningLab(name);
    progress.step('rebooting');
    const before = await waitForLogin(files, record, progress, signal);
    // The connection may die before sudo's answer comes.
    await sshRun(files, record, 'sudo -n systemctl reboot', 30_000);
    await waitForLogin(files, record, progress, signal, before);
  }).finally(() => progress.end());
  return labStatus(name);
}

/** Shuts the lab down: asked first, so that its disk is whole; a guest that does not answer is ended. */
export async function labDown(name: string = defaultLab, progress: Progress): Promise<LabStatus> {
  const files = labFiles(name);
  await withLock(files.lock, progress.say, async () => {
    const record = await currentRecord(name, files);
    if (record) await shutDown(record, files, progress);
  }).finally(() => progress.end());
  return labStatus(name);
}

/** Ends the lab and removes its folder; the images that labs are copied from stay in the cache. */
export async function labDestroy(name: string = defaultLab, progress: Progress): Promise<LabStatus> {
  const files = labFiles(name);
  await withLock(files.lock, progress.say, async () => {
    await endQemu(name, await findQemu(name, files), 3000);
    await removeTree(files.folder);
  }).finally(() => progress.end());
  return labStatus(name);
}

async function shutDown(
  record: LabRecord,
  files: ReturnType<typeof labFiles>,
  progress: Progress,
): Promise<void> {
  if (!(await isRunning(record.name, record.process))) return;
  progress.step('shutting down');
  if (await greets(record.port, 3000)) {
    await sshRun(files, record, 'sudo -n systemctl poweroff', 30_000);
    if (await waitForEnd(record.name, record.process, 120_000)) return;
    progress.say('the lab does not shut down by itself: ending QEMU');
  }
  await endQemu(record.name, record.process, 5000);
}

async function runningLab(name: string = defaultLab) {
  const files = labFiles(name);
  const record = await currentRecord(name, files);
  if (!record?.process)
    throw new FleetError({
      code: 'E_UNREACHABLE',
      message: `the lab '${name}' does not run`,
      hint: `start it with \`blkfleet lab up${name === defaultLab ? '' : ` --name ${name}`}\``,
    });
  return { files, record };
}

function oneOf<T extends string>(
  flag: string,
  value: string | undefined,
  known: readonly T[],
): T | undefined {
  if (value === undefined || known.includes(value as T)) return value as T | undefined;
  throw new FleetError({
    code: 'E_USAGE',
    message: `${flag} ${value}: there is ${known.join(', ')}`,
  });
}
