import type { BootRequest } from './boot.ts';
import type { BuiltSource, ModuleSource } from './build.ts';
import type { KernelImage } from './image.ts';
import { splat } from './run-checks.ts';

/** The target and its attach tool. */
export const dmQcow2: ModuleSource = {
  name: 'dm_qcow2',
  programs: [
    { folder: 'tool', name: 'blkfleet-qcow2' },
    { folder: 'exercise', name: 'qcow2-exercise' },
    { folder: 'exercise', name: 'qcow2-load' },
    { folder: 'exercise', name: 'qcow2-apply' },
    { folder: 'exercise', name: 'qcow2-table' },
    { folder: 'exercise', name: 'qcow2-serve' },
    { folder: 'fuzz', name: 'qcow2-crash' },
    { folder: 'fuzz', name: 'qcow2-fill' },
    { folder: 'fuzz', name: 'qcow2-order' },
  ],
};

/** The module and its programs, for the guest. */
export function qcow2Files(built: BuiltSource): NonNullable<BootRequest['files']> {
  const programs = [...built.programs]
    .filter(([name]) => !['qcow2-crash', 'qcow2-fill', 'qcow2-order'].includes(name))
    .map(([name, data]) => ({ path: `sbin/${name}`, data, mode: 0o755 }));
  return [{ path: 'dm_qcow2.ko', data: built.module }, ...programs];
}

const START = 'dm_qcow2-test: begin';

/** Modules for a disk with ext4 on it, and what the target needs. */
export function qcow2Modules(kernel: KernelImage): string[] {
  const wanted = ['virtio_pci', 'virtio_blk', 'dm_mod', 'crc32c_generic', 'ext4'];
  return wanted.filter((name) => kernel.hasModule(name));
}

/** Where the images are, and the command that mounts them there. */
interface Place {
  at: string;
  mount: string;
}

const firstDisk: Place = { at: '/images', mount: 'mount -t ext4 /dev/vda' };

/** A script for the guest: with the images mounted and the module loaded, runs what is given, and unloads it. */
export function qcow2Script(steps: string, { at, mount }: Place = firstDisk): string {
  return `echo '<6>${START}' >/dev/kmsg
mkdir -p ${at}
${mount} ${at} || exit 1
insmod /dm_qcow2.ko || exit 1
${steps}
rmmod dm_qcow2 && echo "@@unloaded"
umount ${at}
exit 0
`;
}

/** Kernel messages since the module was loaded that tell of a bug. */
export function splatsOf(console: string): string[] {
  const begin = console.indexOf(START);
  return (begin < 0 ? console : console.slice(begin)).split('\n').filter((line) => splat.test(line));
}

/** Name behind "@@image" → the sums that qcow2-apply told behind it, or what programs had to say instead. */
export function readSums(output: string): Map<string, string[]> {
  const found = new Map<string, string[]>();
  let current: string[] = [];
  for (const line of output.split('\n')) {
    const [, mark, rest] = /^@@(image|sum) ?(.*)$/.exec(line) ?? [];
    if (mark === 'image' && rest !== '') {
      current = [];
      found.set(rest!, current);
    } else if (mark === 'sum') current.push(rest!);
    else if (line !== '' && !line.startsWith('@@')) current.push(line);
  }
  return found;
}
