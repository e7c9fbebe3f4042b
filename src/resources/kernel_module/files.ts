import { createHash } from 'node:crypto';
import type { KernelModuleDesired } from './schema.ts';

/** Folders and files on a host, and what we put there. Module names hold only [A-Za-z0-9_]. */
export const QUARANTINE = '/var/lib/blkfleet/quarantine';
export const ATTEMPTS = '/var/lib/blkfleet/boot-attempt';
/** stamps of health checks, a file a module; a module that was just loaded has not been checked */
export const CHECKED = '/var/lib/blkfleet/checked';
/** boot id and what was wrong after a load, a file a module; it holds for that boot */
export const UNWELL = '/var/lib/blkfleet/unwell';
export const GUARD = '/usr/local/lib/blkfleet/module-guard';
export const WANTS = '/etc/systemd/system/multi-user.target.wants';

export const unitName = (name: string) => `blkfleet-load-${name}.service`;
export const unitPath = (name: string) => `/etc/systemd/system/${unitName(name)}`;
export const optionsPath = (name: string) => `/etc/modprobe.d/blkfleet-${name}.conf`;

export interface OurFile {
  path: string;
  mode: number;
  bytes: Buffer;
  sha256: string;
}

/** The unit loads after local file systems and before the guests' daemons, and nothing requires it. */
export function unitFile(name: string): OurFile {
  return ourFile(
    unitPath(name),
    0o644,
    `# Part of blkfleet.
[Unit]
Description=Load the kernel module ${name}, guarded against boot loops
After=local-fs.target
Before=libvirtd.service virtqemud.service
ConditionKernelCommandLine=!blkfleet.disable=1
ConditionPathExists=!${QUARANTINE}/${name}

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=${GUARD} start ${name}
ExecStop=${GUARD} stop ${name}
TimeoutStartSec=30

[Install]
WantedBy=multi-user.target
`,
  );
}

/** The options of a module, for every way of loading it; undefined where none are declared. */
export function optionsFile({ name, parameters }: KernelModuleDesired): OurFile | undefined {
  const words = Object.entries(parameters).map(([key, value]) => `${key}=${parameterText(value)}`);
  if (words.length === 0) return undefined;
  return ourFile(
    optionsPath(name),
    0o644,
    `# Part of blkfleet.\noptions ${name} ${words.sort().join(' ')}\n`,
  );
}

/** A value as modprobe takes it. */
export function parameterText(value: string | number | boolean): string {
  return typeof value === 'boolean' ? (value ? 'Y' : 'N') : String(value);
}

export function guardFile(): OurFile {
  return guard;
}

function ourFile(path: string, mode: number, text: string): OurFile {
  const bytes = Buffer.from(text);
  return { path, mode, bytes, sha256: createHash('sha256').update(bytes).digest('hex') };
}

/**
 * The note of an attempt is on disk before modprobe runs and goes when the host has been up for 120 s, or shuts down in
 * order. Where it is still there at a start, the host went down with the module: it is quarantined.
 */
const guard = ourFile(
  GUARD,
  0o755,
  `#!/bin/sh
# Part of blkfleet: loads a module at boot unless the host went down with it last time.
# Arguments: start | stop | healthy, module.
set -u
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C
export PATH LC_ALL
umask 077
name=$2 attempt=${ATTEMPTS}/$2 quarantine=${QUARANTINE}/$2
case $name in ''|*[!A-Za-z0-9_]*) echo "not a module: $name" >&2; exit 64;; esac
# Bits of the taint word that an oops (D), a warning (W) or a lockup (L) leave behind.
# By cat: read takes a number in /proc/sys byte by byte and gets the first digit only.
sick() { echo $(($(cat /proc/sys/kernel/tainted) & (128 | 512 | 16384))); }
state() { if [ -r "/sys/module/$name/initstate" ]; then cat "/sys/module/$name/initstate"; fi; }
forget() {
  rm -f "$attempt"
  rmdir ${ATTEMPTS} 2>/dev/null || :
}
case $1 in
  start)
    if [ -e "$quarantine" ]; then echo "$name is quarantined: see $quarantine" >&2; exit 0; fi
    if [ -e "$attempt" ]; then
      mkdir -p ${QUARANTINE}
      { echo "the host went down within 120 s of loading $name at boot, or the load never ended:"; cat "$attempt"; } > "$quarantine.new"
      sync "$quarantine.new"; mv -f "$quarantine.new" "$quarantine"; sync ${QUARANTINE}
      forget
      echo "$name is quarantined and was not loaded: see $quarantine" >&2
      exit 0
    fi
    if [ "$(state)" = live ]; then exit 0; fi
    mkdir -p ${ATTEMPTS}
    { read -r boot < /proc/sys/kernel/random/boot_id; printf 'taint %s\\nkernel %s\\nboot %s\\nat %s\\n' "$(sick)" "$(uname -r)" "$boot" "$(date -u +%Y-%m-%dT%H:%M:%SZ)"; } > "$attempt"
    # Without the note on disk there is no guard, and then nothing is loaded.
    { sync "$attempt" && sync ${ATTEMPTS}; } || { forget; echo 'the attempt could not be noted: not loaded' >&2; exit 1; }
    rc=0
    timeout -k 2 25 modprobe "$name" || rc=$?
    if [ "$rc" = 0 ] && [ "$(state)" = live ]; then
      systemd-run --quiet --collect --on-active=120 --unit="blkfleet-healthy-$name" "$0" healthy "$name" >/dev/null 2>&1 || "$0" healthy "$name"
      exit 0
    fi
    # Refused in order: nothing that could take the host down. A hang or an oops keeps the note.
    case $(state) in coming|going) echo "$name is stuck while loading: reboot" >&2; exit 1;; esac
    [ "$rc" = 124 ] || [ "$rc" -ge 128 ] || forget
    echo "modprobe $name ended with $rc" >&2
    exit 1;;
  healthy)
    before=$(sed -n 's/^taint //p' "$attempt" 2>/dev/null)
    # A kernel that has oopsed since may go down any time: the note stays.
    if [ "$(sick)" = "\${before:-0}" ] && [ "$(state)" != coming ]; then forget; fi;;
  stop) forget;;
esac
exit 0
`,
);
