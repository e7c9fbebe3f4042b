import { FleetError } from '../lib/errors.ts';
import { effectiveUser } from '../lib/shell.ts';
import type { HostFacts, InstalledKernel } from './facts.ts';

/**
 * The sh fragment that prints the facts of a host: `key value` lines, a line a fact, read from /proc, /sys and
 * /etc/os-release (os-release(5)) with shell built-ins, and one awk for what they can not read or would be slow at: a
 * process costs more than all of them. It only reads.
 */
export const factsScript = `
facts_o= facts_n='
'
facts_add() { facts_o="$facts_o$1 $2$facts_n"; }
facts_read() { if read -r facts_v < "$2"; then facts_add "$1" "$facts_v"; fi 2>/dev/null; }
facts_read hostname /proc/sys/kernel/hostname
facts_read release /proc/sys/kernel/osrelease
facts_read version /proc/sys/kernel/version
facts_read boot_id /proc/sys/kernel/random/boot_id
facts_read lockdown /sys/kernel/security/lockdown
facts_read sig_enforce /sys/module/module/parameters/sig_enforce
facts_read online /sys/devices/system/cpu/online
${effectiveUser}facts_add uid "$bf_uid"
# By awk: a shell that reads byte by byte gets the first digit only of a number in /proc/sys.
set --; if [ -r /proc/sys/kernel/tainted ]; then set -- /proc/sys/kernel/tainted; fi
if [ -r /proc/sys/kernel/arch ]; then set -- "$@" /proc/sys/kernel/arch; else facts_add arch "$(uname -m)"; fi
if [ -r /var/lib/dpkg/status ]; then set -- "$@" /var/lib/dpkg/status; fi
[ $# = 0 ] || awk '
FILENAME ~ /^.proc/ { name = FILENAME; sub(/.*\\//, "", name); print name, $0; next }
/^Status: / && ($3 == "reinstreq" || $4 ~ /^(half-|unpacked|trig)/) { print "dpkg broken"; exit }
' "$@" 2>/dev/null
while read -r facts_k facts_v facts_u; do
  case $facts_k in MemTotal:) facts_add memory "$facts_v"; break;; esac
done < /proc/meminfo
if [ -d /sys/firmware/efi ]; then
  facts_v=/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c
  if [ -r "$facts_v" ]; then facts_add secure_boot "$(od -An -tu1 -j4 -N1 "$facts_v" 2>/dev/null)"
  else facts_add secure_boot unknown; fi
else facts_add secure_boot 0; fi
if [ -d /run/systemd/system ]; then facts_add systemd 1; fi
for facts_k in apt-get dnf zypper; do
  if command -v "$facts_k" >/dev/null 2>&1; then facts_add manager "$facts_k"; break; fi
done
for facts_d in /lib/modules/* /boot/vmlinuz-*; do
  facts_k=\${facts_d##*/}; facts_k=\${facts_k#vmlinuz-}
  case " $facts_seen " in *" $facts_k "*) continue;; esac
  facts_seen="$facts_seen $facts_k"; facts_h=0; facts_i=0; facts_m=0
  [ -e "/lib/modules/$facts_k/build/Makefile" ] && facts_h=1
  [ -e "/boot/vmlinuz-$facts_k" ] && facts_i=1
  [ -d "/lib/modules/$facts_k/kernel" ] && facts_m=1
  case $facts_h$facts_i$facts_m in 000) ;; *) facts_add kernel "$facts_h $facts_i $facts_k";; esac
done
while IFS= read -r facts_v; do facts_add os "$facts_v"; done < /etc/os-release
printf %s "$facts_o"
`;

const MAX_KERNELS = 200;
const RELEASE = /^[A-Za-z0-9][A-Za-z0-9._+~-]{0,127}$/;

/**
 * Parses what `factsScript` printed.
 * @param output the frame's body, from the host: untrusted
 * @throws FleetError E_PROBE when it names no kernel release, as any Linux host does
 */
export function parseFacts(output: Buffer): HostFacts {
  const values = new Map<string, string>();
  const os = new Map<string, string>();
  const installed: InstalledKernel[] = [];
  for (const line of output.toString('utf8').split('\n')) {
    const space = line.indexOf(' ');
    if (space < 1) continue;
    const key = line.slice(0, space);
    const value = line.slice(space + 1).slice(0, 512);
    if (key === 'kernel') {
      const kernel = /^([01]) ([01]) (.+)$/.exec(value);
      if (kernel && RELEASE.test(kernel[3]!) && installed.length < MAX_KERNELS)
        installed.push({ release: kernel[3]!, headers: kernel[1] === '1', image: kernel[2] === '1' });
    } else if (key === 'os') {
      const pair = /^([A-Z_]+)=(.*)$/.exec(value);
      if (pair) os.set(pair[1]!, unquote(pair[2]!));
    } else if (!values.has(key)) values.set(key, value.trim());
  }
  const release = values.get('release') ?? '';
  if (!RELEASE.test(release))
    throw new FleetError({
      code: 'E_PROBE',
      message: 'the host did not tell its kernel release',
      hint: 'is /proc mounted there, and is it Linux?',
    });
  const secureBoot = values.get('secure_boot');
  return {
    hostname: values.get('hostname') ?? '',
    uid: count(values.get('uid'), 65534),
    kernel: {
      release,
      version: values.get('version') ?? '',
      arch: values.get('arch') ?? '',
      tainted: count(values.get('tainted'), 0),
      bootId: values.get('boot_id') ?? '',
      lockdown: /\[([a-z]+)\]/.exec(values.get('lockdown') ?? '')?.[1] ?? '',
      secureBoot: secureBoot === '1' ? true : secureBoot === '0' ? false : null,
      sigEnforce: values.get('sig_enforce') === 'Y',
      installed,
    },
    os: {
      id: os.get('ID') ?? '',
      idLike: (os.get('ID_LIKE') ?? '').split(' ').filter(Boolean),
      versionId: os.get('VERSION_ID') ?? '',
      codename: os.get('VERSION_CODENAME') ?? '',
      name: os.get('PRETTY_NAME') ?? '',
    },
    packages: { manager: manager(values.get('manager')), healthy: values.get('dpkg') !== 'broken' },
    systemd: values.get('systemd') === '1',
    cpus: cpusIn(values.get('online') ?? ''),
    memoryKiB: count(values.get('memory'), 0),
  };
}

function count(text: string | undefined, otherwise: number): number {
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : otherwise;
}

/** The number of CPUs in a list like `0-3,8`, as of /sys/devices/system/cpu/online; 1 for what is none. */
function cpusIn(list: string): number {
  let cpus = 0;
  for (const range of list.split(',')) {
    const ends = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(range);
    if (ends) cpus += Math.max(0, Number(ends[2] ?? ends[1]) - Number(ends[1]) + 1);
  }
  return Math.max(1, cpus);
}

function manager(name: string | undefined): HostFacts['packages']['manager'] {
  return name === 'apt-get' ? 'apt' : name === 'dnf' || name === 'zypper' ? name : 'none';
}

/** os-release(5): values may stand in single or double quotes, with backslash escapes in the latter. */
function unquote(value: string): string {
  const quoted = /^(["'])(.*)\1$/.exec(value);
  return quoted ? quoted[2]!.replace(/\\(["$`\\])/g, '$1') : value;
}
