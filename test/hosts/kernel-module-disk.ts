import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type BootDisk, bootDisk } from './boot-disk.ts';

const fixture = new URL('../fixtures/kernel_module', import.meta.url).pathname;

/** A disk with two builds of the module under test in /trial/1 and /trial/2, the first of them installed. */
export function trialDisk(): Promise<BootDisk> {
  return bootDisk({
    prepare: ({ upper }) => {
      for (const build of ['1', '2']) {
        const folder = join(upper, 'trial', build);
        mkdirSync(folder, { recursive: true });
        const source = readFileSync(join(fixture, 'blkfleet_trial.c'), 'utf8');
        writeFileSync(
          join(folder, 'blkfleet_trial.c'),
          source.replace('MODULE_VERSION("1")', `MODULE_VERSION("${build}")`),
        );
        cpSync(join(fixture, 'Kbuild'), join(folder, 'Kbuild'));
      }
    },
    make: `for build in 1 2; do
  make -s -C "/lib/modules/\${modules##*/}/build" M=/trial/$build modules
  mkdir -p /out/trial/$build
  cp /trial/$build/blkfleet_trial.ko /out/trial/$build/
done
cp /trial/1/blkfleet_trial.ko "$modules/updates/dkms/"`,
  });
}
