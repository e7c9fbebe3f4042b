import { type BootRequest, type BootResult, bootKernel } from './boot.ts';
import type { DebugKernel } from './debug-kernel.ts';
import { keepLog } from './kept-log.ts';
import { START, splatsOf } from './run-checks.ts';

/** What a debug kernel had found when its script was at its end. */
export interface Findings {
  /** Lines of the console that tell of a bug. */
  splats: string[];
  /** What kmemleak tells, by when it was asked; nothing is good. */
  leaks: Map<string, string>;
  /** Whether kmemleak and lockdep still look: both switch themselves off after trouble, without a further word. */
  kmemleakOn: boolean;
  lockdepOn: boolean;
}

/** A guest that has ended. */
export interface DebugGuest extends Findings {
  boot: BootResult;
  /** Where all that it said is kept. */
  log: string;
}

/** When leaks are looked for: where a script says so, with the module there and nothing in use, and after the script. */
export const IDLE = 'idle';
export const AT_END = 'at the end';

/** The lines of a script that look for them, with the module loaded at most. */
export const lookForLeaks = `. /leaks\nleaks '${IDLE}'\n`;

const parameters = ['kasan_multi_shot', 'null_blk.nr_devices=0'];

/**
 * Boots a debug kernel and runs a script in it, after which leaks are looked for.
 * @param name of the log that is kept
 */
export async function bootDebug(
  kernel: DebugKernel,
  name: string,
  request: Omit<BootRequest, 'kernel'>,
): Promise<DebugGuest> {
  const boot = await bootKernel({
    memoryMb: 2048,
    ...request,
    kernel: kernel.image,
    files: [
      ...(request.files ?? []),
      { path: 'leaks', data: Buffer.from(leaksScript) },
      { path: 'watched', data: Buffer.from(request.script) },
    ],
    append: [...parameters, ...(request.append ?? [])],
    script: watchedScript,
  });
  return { boot, log: keepLog(`debug-kernel ${name}`, boot), ...readFindings(boot) };
}

/** How a guest ended, and its last lines: for a test's message. */
export function tailOf({ boot, log }: DebugGuest): string {
  const last = (text: string) => text.split('\n').slice(-20).join('\n');
  return `QEMU: ${boot.ended}, all of it: ${log}\n${last(boot.output)}\n${last(boot.console)}`;
}

// kmemleak passes over what is younger than five seconds, and tells of what two scans in a row have found nobody to hold.
const leaksScript = `leaks() {
	for scan in 1 2; do
		sleep 6
		echo scan >/sys/kernel/debug/kmemleak || echo "@@kmemleak off"
	done
	echo "@@leaks $1"
	cat /sys/kernel/debug/kmemleak
	echo "@@end of leaks"
}
`;

// What the kernel has lost on its own way up is not ours.
const watchedScript = `mount -t debugfs debugfs /sys/kernel/debug
. /leaks
leaks 'at the begin' >/dev/null
echo clear >/sys/kernel/debug/kmemleak
echo '<6>${START}' >/dev/kmsg
sh /watched
code=$?
leaks '${AT_END}'
echo "@@lockdep $(sed -n 's/^ *debug_locks: *//p' /proc/lockdep_stats)"
exit $code
`;

/** Reads what the scripts above have told; of a guest that died, there is nothing at its end. */
function readFindings({ output, console }: BootResult): Findings {
  const leaks = new Map<string, string>();
  for (const [, when, text] of output.matchAll(/^@@leaks (.*)\n([\s\S]*?)^@@end of leaks$/gm))
    leaks.set(when!, text!.trim());
  return {
    splats: splatsOf(console),
    leaks,
    kmemleakOn: leaks.has(AT_END) && !/^@@kmemleak off$/m.test(output),
    lockdepOn: /^@@lockdep 1$/m.test(output),
  };
}
