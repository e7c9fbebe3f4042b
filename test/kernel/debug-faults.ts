import type { BootResult } from './boot.ts';

/** Ways in which the kernel fails the module, by their folder in debugfs, and what is set there beside the usual. */
export const faultKinds: readonly { name: string; settings: string }[] = [
  { name: 'failslab', settings: 'ignore-gfp-wait=N' },
  { name: 'fail_page_alloc', settings: 'ignore-gfp-wait=N ignore-gfp-highmem=N min-order=0' },
  { name: 'fail_usercopy', settings: '' },
  { name: 'fail_make_request', settings: '' },
];

/** What came of the check program's usual cases while one kind of fault was on. */
export interface FaultyRun {
  kind: string;
  /** Cases that there are, and that ended, in whatever way. */
  listed: number;
  ended: number;
  /** Lines of those that did not come back from the kernel. */
  stuck: string[];
  faults: number;
  /** Exit code of the health gate afterwards. */
  afterwards: number | null;
  unloaded: boolean;
}

const COUNTDOWN = 1_000_000_000;
// A fault at each so many chances of the module's: most cases get far, and each gets some.
const INTERVAL = 499;
const groups = '--quick --hostile --lifecycle --model';

/**
 * A script for a debug kernel: the cases of groups, once for each kind of fault, which the module's own code alone meets.
 * Many then fail, and none may hang; afterwards, all must work, and the module go.
 */
export const faultyScript = `mkdir /sys/kernel/config/nullb/faulty
for setting in memory_backed=1 size=64 irqmode=1 power=1; do
	echo "\${setting#*=}" >"/sys/kernel/config/nullb/faulty/\${setting%%=*}"
done
${faultKinds
  .map(
    ({ name, settings }) => `echo "@@faulty ${name}"
insmod /vhost_blk.ko
begin=$(sed -n 's/^vhost_blk .* \\(0x[0-9a-f]*\\).*/\\1/p' /proc/modules)
size=$(sed -n 's/^vhost_blk \\([0-9]*\\) .*/\\1/p' /proc/modules)
end=$(printf '0x%x' $((begin + size)))
echo 1 >/sys/block/faulty/make-it-fail
for setting in require-start=$begin require-end=$end times=${COUNTDOWN} verbose=0 task-filter=N ${settings} \\
	interval=${INTERVAL} probability=100; do
	echo "\${setting#*=}" >"/sys/kernel/debug/${name}/\${setting%%=*}" || exit 1
done
echo "@@listed $(vhost-blk-check --list ${groups} | wc -l)"
vhost-blk-check --timeout 120 ${groups} --device /dev/faulty --destroy-data
echo 0 >/sys/kernel/debug/${name}/probability
echo 0 >/sys/block/faulty/make-it-fail
echo "@@left $(cat /sys/kernel/debug/${name}/times)"
vhost-blk-check --quick --device /dev/faulty --destroy-data >/tmp/afterwards 2>&1
echo "@@afterwards $?"
grep -Ev '^(ok|# row)' /tmp/afterwards | sed 's/^/# afterwards: /'
# Who still has the disk, if anybody: devices on top of it, and processes.
for name in /sys/block/faulty/holders/*/dm/name; do
	[ -e $name ] && echo "# left on it: $(cat $name), suspended $(cat \${name%name}suspended)"
done
for link in /proc/[0-9]*/fd/*; do
	case $(readlink $link) in /dev/faulty | /dev/dm-* | /dev/vhost-blk) echo "# left open: $link $(readlink $link), waits in $(cat \${link%/fd/*}/wchan)" ;; esac
done
rmmod vhost_blk && echo "@@unloaded"`,
  )
  .join('\n')}
`;

/** Reads what the script has told. */
export function readFaultyRuns({ output }: BootResult): FaultyRun[] {
  return output
    .split(/^@@faulty /m)
    .slice(1)
    .map((text) => {
      const [kind = '', ...lines] = text.split('\n');
      const number = (mark: string) => {
        const found = new RegExp(`^@@${mark} (\\d+)$`, 'm').exec(text);
        return found ? Number(found[1]) : null;
      };
      const cases = lines.filter((line) => /^(not )?ok /.test(line));
      return {
        kind,
        listed: number('listed') ?? 0,
        ended: cases.length,
        stuck: cases.filter((line) => line.includes('stuck in the kernel')),
        faults: COUNTDOWN - (number('left') ?? COUNTDOWN),
        afterwards: number('afterwards'),
        unloaded: /^@@unloaded$/m.test(text),
      };
    });
}
