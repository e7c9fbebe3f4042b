import { dkms } from '../../src/resources/dkms/index.ts';
import type { Input } from '../../src/resources/kind.ts';
import { folderAsset } from './run-steps.ts';

export const NAME = 'blkfleet-hello';

const fixture = new URL('../fixtures/dkms-hello', import.meta.url).pathname;

/** dkms-hello, or one of its variants: another version, a build that fails for one kernel or all, more of dkms.conf. */
export function hello(
  variant: { version?: string; broken?: readonly string[]; conf?: string } = {},
): Input<unknown> {
  const { version = '1.0', broken, conf = '' } = variant;
  const source = folderAsset(fixture, {
    'dkms.conf': (text) => text.replace('"1.0"', `"${version}"`) + conf,
    'blkfleet_hello.c': (text) => {
      const versioned = text.replace('MODULE_VERSION("1.0")', `MODULE_VERSION("${version}")`);
      return broken
        ? `${versioned}\n#ifdef BLKFLEET_BROKEN\n#error "it does not build here"\n#endif\n`
        : versioned;
    },
    Kbuild: (text) =>
      broken
        ? `${text}ifneq (,$(filter ${broken.join(' ')},$(KERNELRELEASE)))\nccflags-y += -DBLKFLEET_BROKEN\nendif\n`
        : text,
  });
  return { desired: dkms.schema.parse({ source: 'dkms-hello' }), assets: { source } };
}
