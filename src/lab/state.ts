import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { FleetError } from '../lib/errors.ts';
import { cacheFolder } from './debian/cache.ts';

export const kernelLines = ['6.1', '6.12'] as const;
export type KernelLine = (typeof kernelLines)[number];
export type Accel = 'tcg' | 'kvm';

/** What a lab's folder says about it; written whole, last of all when a lab is made. */
export interface LabRecord {
  name: string;
  kernel: KernelLine;
  /** uname -r that it boots */
  release: string;
  accel: Accel;
  /** on 127.0.0.1 */
  port: number;
  /** `ssh-ed25519 AAAA…` of its sshd */
  hostKey: string;
  /** of QEMU when it was started last; belongs to it only while its start time is the same */
  process: { pid: number; startTime: string } | null;
}

/** The files of a lab. */
export interface LabFiles {
  folder: string;
  lock: string;
  record: string;
  disk: string;
  kernel: string;
  initrd: string;
  key: string;
  hostKey: string;
  knownHosts: string;
  inventory: string;
  console: string;
  qemuLog: string;
}

/**
 * The files of the lab of that name.
 * @throws FleetError E_USAGE for a name that is not a plain word
 */
export function labFiles(name: string): LabFiles {
  if (!/^[a-z0-9][a-z0-9-]{0,30}$/.test(name))
    throw new FleetError({
      code: 'E_USAGE',
      message: `'${name}' is no name for a lab: small letters, digits and '-', at most 31`,
    });
  const labs = join(cacheFolder(), 'labs');
  const folder = join(labs, name);
  const inside = (file: string) => join(folder, file);
  return {
    folder,
    lock: join(labs, `${name}.lock`),
    record: inside('lab.json'),
    disk: inside('disk.raw'),
    kernel: inside('vmlinuz'),
    initrd: inside('initrd.img'),
    key: inside('id_ed25519'),
    hostKey: inside('ssh_host_ed25519_key'),
    knownHosts: inside('known_hosts'),
    inventory: inside('inventory.yaml'),
    console: inside('console.log'),
    qemuLog: inside('qemu.log'),
  };
}

/** The record of a lab, or null where there is none or it is not whole. */
export async function readRecord(files: LabFiles): Promise<LabRecord | null> {
  const text = await readFile(files.record, 'utf8').catch(() => null);
  if (text === null) return null;
  try {
    const record = JSON.parse(text) as LabRecord;
    const whole =
      kernelLines.includes(record.kernel) &&
      Number.isInteger(record.port) &&
      typeof record.release === 'string' &&
      /^ssh-ed25519 [A-Za-z0-9+/=]+$/.test(record.hostKey);
    return whole ? record : null;
  } catch {
    return null;
  }
}

/** Writes the record so that a reader sees the old one or the new one. */
export async function writeRecord(files: LabFiles, record: LabRecord): Promise<void> {
  await mkdir(files.folder, { recursive: true, mode: 0o700 });
  const next = `${files.record}.next`;
  await writeFile(next, `${JSON.stringify(record, null, 2)}\n`);
  await rename(next, files.record);
}
