import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fetchPackages } from '../../src/lab/debian/package.ts';
import { kernelLines } from '../kernel/lines.ts';
import { prepareModule } from '../kernel/prepare.ts';
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
      const line = kernelLines.find(({ line }) => line === '6.1')!;
      const { built } = await prepareModule(dmQcow2, line, log);
      const debs = await fetchPackages({ suite: line.suite, names: ['dmsetup', 'libdevmapper1.02.1'] }, log);
      for (const { file } of debs) execFileSync('dpkg-deb', ['-x', file, upper]);
      const made = join(upper, 'made');
      mkdirSync(join(made, 'srv/images'), { recursive: true });
      mkdirSync(join(made, 'srv/bases'));
      writeFileSync(join(made, 'dm_qcow2.ko'), built.module);
      writeFileSync(join(made, 'blkfleet-qcow2'), built.programs.get('blkfleet-qcow2')!, { mode: 0o755 });
      makeImages(made);
    },
    make: `cp /made/dm_qcow2.ko "$modules/updates/dkms/"
mkdir -p /out/usr/local/sbin
cp /made/blkfleet-qcow2 /out/usr/local/sbin/
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
