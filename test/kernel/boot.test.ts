import { expect, test } from 'vitest';
import { bootKernel } from './boot.ts';
import { kernelLines } from './lines.ts';
import { prepareKernel } from './prepare.ts';

const PREPARE_MS = 30 * 60_000;
const BOOT_MS = 10 * 60_000;

test(
  'a guest that stands still is ended long before its time is up, and its kernel has told where it stood',
  async () => {
    const line = kernelLines.find(({ line }) => line === '6.1')!;
    const { image } = await prepareKernel(line, console.log);
    const result = await bootKernel({
      kernel: image,
      script: 'echo begun; while :; do :; done',
      timeoutMs: BOOT_MS,
      stallMs: 20_000,
    });
    expect(result).toMatchObject({ ended: 'stalled', exit: null, timedOut: false });
    expect(result.output).toContain('begun');
    // The kernel's own word by SysRq and NMI, and QEMU's.
    expect(result.console).toMatch(/sysrq: Show backtrace of all active CPUs/);
    expect(result.console).toMatch(/NMI: Not continuing|Kernel panic/);
    expect(result.console).toMatch(/RIP=[0-9a-f]{16}/);
    expect(result.console).toMatch(/^thread \d+: [A-Z], user \d+/m);
  },
  PREPARE_MS + BOOT_MS,
);
