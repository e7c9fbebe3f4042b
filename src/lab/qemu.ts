import { spawn } from 'node:child_process';
import { open, readdir, readFile } from 'node:fs/promises';
import { FleetError } from '../lib/errors.ts';
import { type Accel, type LabFiles, type LabRecord, readRecord } from './state.ts';

export interface QemuSpec {
  name: string;
  files: Pick<LabFiles, 'disk' | 'kernel' | 'initrd' | 'console'>;
  accel: Accel;
  port: number;
  cpus: number;
}

const program = 'qemu-system-x86_64';

/** The command line of a lab's QEMU. A reset boots the same kernel again; sshd is reached on 127.0.0.1 alone. */
export function qemuArgv({ name, files, accel, port, cpus }: QemuSpec): [string, ...string[]] {
  return [
    program,
    ...['-name', processName(name)],
    // The machine's own QEMU defaults are none of the lab's.
    ...['-nodefaults', '-no-user-config', '-display', 'none'],
    ...(accel === 'kvm'
      ? ['-accel', 'kvm', '-cpu', 'host']
      : ['-accel', 'tcg,thread=multi,tb-size=512', '-cpu', 'max']),
    ...['-machine', 'q35', '-smp', String(cpus), '-m', '2048'],
    ...['-kernel', files.kernel, '-initrd', files.initrd],
    // A busy machine starves the guest's test of its timer, which then panics.
    ...['-append', 'console=ttyS0 root=/dev/vda rw net.ifnames=0 mitigations=off no_timer_check panic=10'],
    // A full disk here is an I/O error there: by default QEMU would stop the guest without a word.
    ...[
      '-drive',
      `file=${escapeComma(files.disk)},format=raw,if=virtio,cache=unsafe,discard=unmap,werror=report`,
    ],
    ...['-netdev', `user,id=net0,hostfwd=tcp:127.0.0.1:${port}-:22`],
    ...['-device', 'virtio-net-pci,netdev=net0,romfile=', '-device', 'virtio-rng-pci'],
    ...['-chardev', consoleOption(files), '-serial', 'chardev:console'],
  ];
}

/** What QEMU's command line shows of a lab. */
export function processName(name: string): string {
  return `blkfleet-lab-${name}`;
}

/**
 * Starts QEMU in a session of its own, output in a file: it outlives this process and keeps none of its pipes.
 * @returns its process, and what tells that it ended
 */
export async function startQemu(
  spec: QemuSpec,
  logFile: string,
): Promise<{ process: NonNullable<LabRecord['process']>; ended: Promise<number | null> }> {
  const [, ...args] = qemuArgv(spec);
  const log = await open(logFile, 'w', 0o600);
  try {
    const child = spawn(program, args, { detached: true, cwd: '/', stdio: ['ignore', log.fd, log.fd] });
    const ended = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)));
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve);
      child.once('error', reject);
    }).catch((cause) => {
      throw new FleetError(
        {
          code: 'E_FILE',
          message: `can not start ${program}: ${cause instanceof Error ? cause.message : cause}`,
          hint: 'install qemu-system-x86, or run `npm run quickstart`',
        },
        { cause },
      );
    });
    child.unref();
    const pid = child.pid!;
    return { process: { pid, startTime: (await startTimeOf(pid)) ?? '' }, ended };
  } finally {
    await log.close();
  }
}

/**
 * The lab's record with the process that it has now, whatever the record says: one who was killed right after he started
 * QEMU did not write it down.
 */
export async function currentRecord(name: string, files: LabFiles): Promise<LabRecord | null> {
  const record = await readRecord(files);
  if (!record || (await isRunning(name, record.process))) return record;
  return { ...record, process: await findQemu(name, files) };
}

/** The QEMU that has this lab's folder, found among all processes; null where none runs. */
export async function findQemu(
  name: string,
  files: Pick<LabFiles, 'console'>,
): Promise<LabRecord['process']> {
  for (const entry of await readdir('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    const words = (await readFile(`/proc/${entry}/cmdline`, 'utf8').catch(() => '')).split('\0');
    if (!words.includes(processName(name)) || !words.includes(consoleOption(files))) continue;
    const startTime = await startTimeOf(Number(entry));
    if (startTime !== null) return { pid: Number(entry), startTime };
  }
  return null;
}

/** True while the recorded process is the lab's QEMU and no other that got its number. */
export async function isRunning(name: string, recorded: LabRecord['process']): Promise<boolean> {
  if (!recorded) return false;
  const cmdline = await readFile(`/proc/${recorded.pid}/cmdline`, 'utf8').catch(() => '');
  if (!cmdline.split('\0').includes(processName(name))) return false;
  return (await startTimeOf(recorded.pid)) === recorded.startTime;
}

/**
 * Ends a lab's QEMU: SIGTERM, then SIGKILL after `graceMs`. A number that belongs to another process by now is left alone.
 * @returns once the process is gone
 */
export async function endQemu(name: string, recorded: LabRecord['process'], graceMs: number): Promise<void> {
  if (!recorded) return;
  for (const [signal, wait] of [
    ['SIGTERM', graceMs],
    ['SIGKILL', 10_000],
  ] as const) {
    if (!(await isRunning(name, recorded))) return;
    process.kill(recorded.pid, signal);
    if (await waitForEnd(name, recorded, wait)) return;
  }
  throw new FleetError({ code: 'E_STEP', message: `QEMU (pid ${recorded.pid}) does not end` });
}

/** Waits until a lab's QEMU is gone; false when it still runs after `ms`. */
export async function waitForEnd(name: string, recorded: LabRecord['process'], ms: number): Promise<boolean> {
  const until = Date.now() + ms;
  while (await isRunning(name, recorded)) {
    if (Date.now() >= until) return false;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return true;
}

// Field 22 of /proc/PID/stat; the name before it may hold spaces and parentheses.
async function startTimeOf(pid: number): Promise<string | null> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => null);
  if (stat === null) return null;
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  // A zombie has ended.
  return fields[0] === 'Z' ? null : (fields[19] ?? null);
}

function consoleOption(files: Pick<LabFiles, 'console'>): string {
  return `file,id=console,path=${escapeComma(files.console)}`;
}

function escapeComma(path: string): string {
  return path.replaceAll(',', ',,');
}
