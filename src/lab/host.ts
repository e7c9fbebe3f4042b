import { copyFile, mkdir, open, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { availableParallelism } from 'node:os';
import { FleetError } from '../lib/errors.ts';
import { removeTree } from './debian/root.ts';
import { runTool } from './debian/run.ts';
import { labImage, labUser, requireRoom, writeIntoDisk } from './image.ts';
import type { Progress } from './progress.ts';
import { isRunning, startQemu } from './qemu.ts';
import { greets, sshRun } from './ssh.ts';
import { type Accel, type KernelLine, type LabFiles, type LabRecord, writeRecord } from './state.ts';

// Twenty seconds on a quiet machine; a loaded one takes minutes.
const BOOT_DEADLINE_MS = 15 * 60_000;
const ROOM_TO_RUN_BYTES = 2 ** 30;
const MAX_CPUS = 4;

/**
 * Makes a lab's folder: keys, and a disk copied from the image of its kernel. What an interrupted attempt left is
 * replaced, since only a whole lab has a record.
 */
export async function makeLab(
  files: LabFiles,
  choice: { name: string; kernel: KernelLine; accel: Accel },
  progress: Progress,
  signal?: AbortSignal,
): Promise<LabRecord> {
  const image = await labImage(choice.kernel, progress, signal);
  await removeTree(files.folder);
  await mkdir(files.folder, { recursive: true, mode: 0o700 });
  await requireRoom(2 * ROOM_TO_RUN_BYTES, 'a lab');
  progress.step(`making the lab '${choice.name}'`);
  const options = signal ? { signal } : {};
  for (const [file, comment] of [
    [files.key, `${labUser}@${choice.name}`],
    [files.hostKey, choice.name],
  ] as const)
    await runTool(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-C', comment, '-f', file], options);
  await copyFile(image.kernel, files.kernel);
  await copyFile(image.initrd, files.initrd);
  await runTool(['cp', '--sparse=always', '--reflink=auto', '--', image.disk, files.disk], options);
  const user = { uid: 1000, gid: 1000 };
  const root = { uid: 0, gid: 0 };
  await writeIntoDisk(
    files.disk,
    [
      {
        source: `${files.key}.pub`,
        target: `/home/${labUser}/.ssh/authorized_keys`,
        mode: 0o600,
        ...user,
      },
      { source: files.hostKey, target: '/etc/ssh/ssh_host_ed25519_key', mode: 0o600, ...root },
      { source: `${files.hostKey}.pub`, target: '/etc/ssh/ssh_host_ed25519_key.pub', mode: 0o644, ...root },
    ],
    signal,
  );
  const [type, key] = (await readFile(`${files.hostKey}.pub`, 'utf8')).split(' ');
  // The lab alone needs its private host key.
  await rm(files.hostKey);
  const record: LabRecord = {
    ...choice,
    release: image.release,
    port: 0,
    hostKey: `${type} ${key!.trim()}`,
    process: null,
  };
  await writeRecord(files, record);
  return record;
}

/**
 * Starts a lab that does not run: chooses a port, writes the files that tell others how to reach it, starts QEMU.
 * @returns the record as it is now
 */
export async function startLab(
  files: LabFiles,
  record: LabRecord,
  progress: Progress,
): Promise<{ record: LabRecord; ended: Promise<number | null> }> {
  await requireRoom(ROOM_TO_RUN_BYTES, 'a running lab');
  await warnOfMemory(progress);
  const port = await choosePort(record.port);
  const next = { ...record, port, process: null };
  await writeFile(files.console, '', { mode: 0o600 });
  await writeReach(files, next);
  // Before QEMU runs: if we are killed now, the next one finds it and knows its port.
  await writeRecord(files, next);
  progress.step(`booting Debian 12 with kernel ${record.release}`);
  const cpus = Math.min(MAX_CPUS, availableParallelism());
  const started = await startQemu(
    { name: record.name, files, accel: record.accel, port, cpus },
    files.qemuLog,
  );
  const running = { ...next, process: started.process };
  await writeRecord(files, running);
  return { record: running, ended: started.ended };
}

/**
 * Waits until a running lab lets us in, telling its console's last line meanwhile.
 * @param notBoot a boot id that is not enough: the lab is to come up anew
 * @returns its boot id
 * @throws FleetError E_UNREACHABLE when QEMU ends or the deadline passes
 */
export async function waitForLogin(
  files: LabFiles,
  record: LabRecord,
  progress: Progress,
  signal?: AbortSignal,
  notBoot?: string,
): Promise<string> {
  const until = Date.now() + BOOT_DEADLINE_MS;
  let said = '';
  while (Date.now() < until) {
    signal?.throwIfAborted();
    const line = await lastLine(files.console);
    if (line !== '') progress.line(line);
    if (!(await isRunning(record.name, record.process)))
      throw unreachable(`QEMU ended while the lab booted`, files, await tail(files.qemuLog));
    if (await greets(record.port, 3000)) {
      const answer = await sshRun(files, record, 'cat /proc/sys/kernel/random/boot_id', 60_000);
      const boot = answer.stdout.trim();
      if (answer.status === 0 && /^[0-9a-f-]{36}$/.test(boot) && boot !== notBoot) return boot;
      said = answer.stderr.trim();
    }
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
  throw unreachable(`the lab did not let us in within ${BOOT_DEADLINE_MS / 60_000} minutes`, files, said);
}

/** The folder of a lab says nothing about a machine of before: port, host key and inventory are written at each start. */
async function writeReach(files: LabFiles, record: LabRecord): Promise<void> {
  await writeFile(files.knownHosts, `[127.0.0.1]:${record.port} ${record.hostKey}\n`, { mode: 0o600 });
  await writeFile(files.inventory, inventoryText(files, record), { mode: 0o600 });
}

/** The inventory of a lab: one host, named as the lab, in the group `hypervisors`, its host key pinned. */
export function inventoryText(
  files: Pick<LabFiles, 'key'>,
  record: Pick<LabRecord, 'name' | 'port' | 'hostKey'>,
): string {
  return `# Written by \`blkfleet lab up\`; the next one writes it anew.
all:
  children:
    hypervisors:
      hosts:
        ${JSON.stringify(record.name)}:
          address: 127.0.0.1
          port: ${record.port}
          user: ${labUser}
          identity_file: ${JSON.stringify(files.key)}
          become: true
          host_keys:
            - ${record.hostKey}
`;
}

/** A free port of the loopback interface: `wanted` where that is free; 0 for any. */
export async function choosePort(wanted: number): Promise<number> {
  const tryListen = (port: number) =>
    new Promise<number | null>((resolve) => {
      const server = createServer();
      server.once('error', () => resolve(null));
      server.listen({ host: '127.0.0.1', port, exclusive: true }, () => {
        const address = server.address();
        const got = typeof address === 'object' && address ? address.port : null;
        server.close(() => resolve(got));
      });
    });
  const port = (wanted > 0 ? await tryListen(wanted) : null) ?? (await tryListen(0));
  if (port === null) throw new FleetError({ code: 'E_FILE', message: 'no free port on 127.0.0.1' });
  return port;
}

async function warnOfMemory(progress: Progress): Promise<void> {
  const text = await readFile('/proc/meminfo', 'utf8').catch(() => '');
  const available = Number(/^MemAvailable:\s+(\d+) kB/m.exec(text)?.[1] ?? Number.NaN);
  if (available < 2.5 * 2 ** 20)
    progress.say(`only ${(available / 2 ** 20).toFixed(1)} GiB of memory available: the lab takes up to 2.5`);
}

function unreachable(message: string, files: LabFiles, detail: string): FleetError {
  return new FleetError({
    code: 'E_UNREACHABLE',
    message: detail === '' ? message : `${message}:\n${detail}`,
    hint: `its console is in ${files.console}; \`blkfleet lab destroy\` starts from nothing`,
  });
}

async function lastLine(file: string): Promise<string> {
  const text = await tail(file);
  return text.split('\n').at(-1) ?? '';
}

// The end of a file as lines without escape sequences and control characters.
async function tail(file: string): Promise<string> {
  const size = (await stat(file).catch(() => null))?.size ?? 0;
  if (size === 0) return '';
  const handle = await open(file);
  try {
    const buffer = Buffer.alloc(Math.min(size, 2048));
    await handle.read(buffer, 0, buffer.length, size - buffer.length);
    return buffer
      .toString('utf8')
      .replace(/\x1b\[[0-9;?]*[A-Za-z]|\x1b./g, '')
      .split(/[\r\n]+/)
      .map((line) => line.replace(/[\x00-\x1f\x7f]/g, '').trim())
      .filter((line) => line !== '')
      .slice(-10)
      .join('\n');
  } finally {
    await handle.close();
  }
}
