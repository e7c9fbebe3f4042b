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
    { folder: 'fuzz', name: 'qcow2-crash' },
    { folder: 'fuzz', name: 'qcow2-fill' },
  ],
};

/** The module and its programs, for the guest. */
export function qcow2Files(built: BuiltSource): NonNullable<BootRequest['files']> {
  const programs = [...built.programs]
    .filter(([name]) => !['qcow2-crash', 'qcow2-fill'].includes(name))
    .map(([name, data]) => ({ path: `sbin/${name}`, data, mode: 0o755 }));
  return [{ path: 'dm_qcow2.ko', data: built.module }, ...programs];
}

const START = 'dm_qcow2-test: begin';

/** Modules for a disk with ext4 on it, and what the target needs. */
export function qcow2Modules(kernel: KernelImage): string[] {
  const wanted = ['virtio_pci', 'virtio_blk', 'dm_mod', 'crc32c_generic', 'ext4'];
  return wanted.filter((name) => kernel.hasModule(name));
}

/** A script for the guest: with the images' disk at /images and the module loaded, runs what is given, and unloads it. */
export function qcow2Script(steps: string): string {
  return `echo '<6>${START}' >/dev/kmsg
mkdir -p /images
mount -t ext4 /dev/vda /images || exit 1
insmod /dm_qcow2.ko || exit 1
${steps}
rmmod dm_qcow2 && echo "@@unloaded"
umount /images
exit 0
`;
}

/** Kernel messages since the module was loaded that tell of a bug. */
export function splatsOf(console: string): string[] {
  const begin = console.indexOf(START);
  return (begin < 0 ? console : console.slice(begin)).split('\n').filter((line) => splat.test(line));
}
