import type { BootResult } from './boot.ts';
import { checkScript } from './run-checks.ts';

/** How many requests of `--fuzz` a whole run shows the module. */
export const FUZZ_REQUESTS = 1_000_000;

/** Mistakes of the fixture `detectors`, and what the kernel must say of each. */
export const mistakes: readonly { name: string; report: RegExp }[] = [
  { name: 'use_after_free', report: /BUG: KASAN: slab-use-after-free/ },
  { name: 'write_behind', report: /BUG: KASAN: slab-out-of-bounds/ },
  { name: 'shift_too_far', report: /UBSAN: shift-out-of-bounds/ },
  { name: 'sleep_in_atomic', report: /BUG: sleeping function called from invalid context/ },
  // The last one: after it lockdep looks no more.
  { name: 'lock_in_two_orders', report: /WARNING: possible circular locking dependency/ },
];

/** What a debug kernel itself knows at the end. */
export interface Findings {
  /** What kmemleak found, as it tells it: empty for nothing. */
  leaks: string;
  /** lockdep has found nothing, or it would have switched itself off. */
  lockdepOn: boolean;
}

// kmemleak looks at nothing that is younger than five seconds, and reports what two scans have not found.
const scanForLeaks = `scan() {
	sleep 6
	echo scan >/sys/kernel/debug/kmemleak
}
`;

const forgetLeaks = `mount -t debugfs debugfs /sys/kernel/debug
scan
echo clear >/sys/kernel/debug/kmemleak
`;

const tellFindings = `scan
scan
echo "@@kmemleak"
cat /sys/kernel/debug/kmemleak
echo "@@end of kmemleak"
grep -q "debug_locks: *1" /proc/lockdep_stats && echo "@@lockdep on"
`;

/** A script for the guest between which and whose end leaks are looked for, and the state of the detectors is told. */
export function watched(script: string): string {
  return `${scanForLeaks}${forgetLeaks}${script}\n${tellFindings}`;
}

/** Reads what `watched` has told; null where the guest did not get that far. */
export function readFindings({ output }: BootResult): Findings | null {
  const found = /^@@kmemleak\n([\s\S]*?)^@@end of kmemleak$/m.exec(output);
  if (!found) return null;
  return { leaks: found[1]!, lockdepOn: /^@@lockdep on$/m.test(output) };
}

/** All runs of the kernel matrix, and requests by chance until there are FUZZ_REQUESTS of them. */
export function debugCheckScript(): string {
  return checkScript();
}

/** The fixture's mistakes one after the other, and a leak. */
export function detectorScript(): string {
  const make = (name: string) => `echo '<6>detectors: ${name}' >/dev/kmsg
insmod /detectors.ko mistake=${name} 2>/dev/null`;
  return watched([...mistakes.map(({ name }) => make(name)), make('leak')].join('\n'));
}

/** Ways in which the kernel lets the module down: what is set in which folder of debugfs. */
export const faults: readonly { name: string; settings: string }[] = [
  { name: 'failslab', settings: 'probability=2 cache-filter=0 ignore-gfp-wait=0' },
  { name: 'fail_page_alloc', settings: 'probability=2 ignore-gfp-wait=0 ignore-gfp-highmem=0 min-order=0' },
  { name: 'fail_usercopy', settings: 'probability=1' },
  { name: 'fail_make_request', settings: 'probability=2' },
];

const groups = '--quick --hostile --model --lifecycle';

/**
 * The groups of checks once for each fault. Memory and user space fail only where the module is on the stack; a disk fails
 * for all. Cases may fail then; the module must still go away, and nothing else may happen.
 */
export function faultScript(): string {
  const runs = faults.map(
    ({ name, settings }) => `echo "@@fault ${name}"
fault ${name} ${settings}
vhost-blk-check --timeout 300 ${groups} | grep -c "^ok\\|^not ok" | sed 's/^/@@cases /'
echo 0 >/sys/kernel/debug/${name}/probability
echo "@@times $(cat /sys/kernel/debug/${name}/times)"`,
  );
  return watched(`echo '<6>vhost_blk-matrix: begin' >/dev/kmsg
mount -t configfs configfs /sys/kernel/config
insmod /vhost_blk.ko || exit 1
start=$(sed -n 's/^vhost_blk .* //p; s/ *(.*)$//' /proc/modules)
fault() {
	folder=/sys/kernel/debug/$1
	shift
	echo 1000000 >$folder/times
	echo 0 >$folder/verbose
	for setting in "$@"; do
		echo "\${setting#*=}" >"$folder/\${setting%%=*}"
	done
}
${runs.join('\n')}
rmmod vhost_blk && echo "@@unloaded"`);
}
