import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fetchPackages } from '../../src/lab/debian/package.ts';
import { copySource } from '../kernel/build.ts';
import { dmQcow2 } from '../kernel/qcow2-guest.ts';
import { type BootDisk, bootDisk } from './boot-disk.ts';

const log = (line: string) => console.log(line);

/** Images in /srv/images on the disk, and what they are made of; `over` lies on a file in another folder. */
export const images = ['db', 'other', 'dirty', 'over'] as const;
export const imagePath = (name: (typeof images)[number]) => `/srv/images/${name}.qcow2`;

/** A disk with dm_qcow2 (not loaded), its attach tool, dmsetup and images of 16 MiB. */
export function qcow2Disk(): Promise<BootDisk> {
  return bootDisk({
    modules: ['dm_mod'],
    programs: ['cmp', 'dd', 'dmsetup'],
    prepare: async ({ upper }) => {
      const names = ['dmsetup', 'libdevmapper1.02.1', 'libc6-dev', 'linux-libc-dev'];
      const debs = await fetchPackages({ suite: 'bookworm', names }, log);
      const made = join(upper, 'made');
      mkdirSync(join(made, 'srv/images'), { recursive: true });
      // Not into the root itself, whose /lib and /sbin are links.
      for (const { file } of debs) execFileSync('dpkg-deb', ['-x', file, join(made, 'debs')]);
      mkdirSync(join(made, 'srv/bases'));
      copySource(dmQcow2, join(made, 'source'));
      makeImages(made);
    },
    make: `for folder in lib sbin usr; do cp -a /made/debs/$folder/. /$folder/; done
make -s -j2 -C "/lib/modules/\${modules##*/}/build" M=/made/source modules
cp /made/source/dm_qcow2.ko "$modules/updates/dkms/"
make -s -C /made/source/tool install STATIC=1 CFLAGS=-O1 O=/made/tool DESTDIR=/out
cp -a /made/srv /out/`,
  });
}

function makeImages(made: string): void {
  const qemuImg = (...argv: string[]) => execFileSync('qemu-img', argv, { stdio: 'pipe' });
  const create = (path: string, ...more: string[]) =>
    qemuImg('create', '-q', '-f', 'qcow2', ...more, join(made, path), '16M');
  for (const name of ['db', 'other', 'dirty']) create(imagePath(name as (typeof images)[number]));
  create('srv/bases/base.qcow2');
  create(imagePath('over'), '-u', '-b', '/srv/bases/base.qcow2', '-F', 'qcow2');
}
