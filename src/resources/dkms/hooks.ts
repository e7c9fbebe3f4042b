import { createHash } from 'node:crypto';
import { buildFunctions } from './build-script.ts';
import type { DkmsPackage } from './package.ts';
import { HOOK_SCRIPT, HOOKS, PACKAGES, RECORDS } from './paths.ts';

/** A file of ours on the host. */
export interface HookFile {
  path: string;
  mode: number;
  bytes: Buffer;
  sha256: string;
}

/** All files that make a new kernel get a package: one script, a line a hook folder, and the package's own data. */
export function hookFiles(found: DkmsPackage): HookFile[] {
  return [scriptFile, ...wrapperFiles, file(`${PACKAGES}/${found.conf.name}`, 0o600, packageText(found))];
}

/** What the hook must know of a package: a `KEY VALUE` line each. */
function packageText({ conf, sha256 }: DkmsPackage): string {
  const { kernel, arch, min, max } = conf.exclusive;
  const lines = [`name ${conf.name}`, `version ${conf.version}`, `source ${sha256}`];
  lines.push(...conf.modules.map(({ built, installed }) => `module ${built} ${installed}`));
  for (const [key, value] of Object.entries({ kernel, arch, min, max }))
    if (value !== undefined) lines.push(`${key} ${value}`);
  return `${lines.join('\n')}\n`;
}

const wrapper = (event: string) => `#!/bin/sh
# Part of blkfleet: builds its modules for this kernel. A failure is recorded and never stops the package.
[ ! -x ${HOOK_SCRIPT} ] || ${HOOK_SCRIPT} ${event} "\${1-}" || :
exit 0
`;

const script = `#!/bin/sh
# Part of blkfleet: kernel packages run it by the hooks in /etc/kernel. Arguments: event, kernel release.
# It builds the packages in ${PACKAGES} and records how that ended in ${RECORDS}. It always ends
# with 0 and in bounded time: a hook that fails leaves the kernel package half installed and the kernel without initrd.
set -u
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C
export PATH LC_ALL
umask 022
cd /
if [ "\${3-}" != inner ]; then
  # debconf listens on 3: a process that keeps it open would hold up apt.
  timeout -k 10 1800 "$0" "\${1-}" "\${2-}" inner </dev/null 3>&- ||
    echo "blkfleet: the kernel hook was ended; run blkfleet audit" >&2
  exit 0
fi
event=$1 release=$2
case $release in ''|[!A-Za-z0-9]*|*[!A-Za-z0-9._+~-]*) exit 0;; esac
dkms_by=hook
dkms_arch=$(uname -m)
${buildFunctions}
# True where the package is not for this kernel, as the planner judges it.
excluded() {
  if [ -n "$only_kernel" ] && ! printf '%s\\n' "$release" | grep -Eq -e "$only_kernel"; then return 0; fi
  if [ -n "$only_arch" ] && ! printf '%s\\n' "$dkms_arch" | grep -Eq -e "$only_arch"; then return 0; fi
  base=$(printf '%s\\n' "$release" | sed -n 's/^\\([0-9]*\\(\\.[0-9][0-9]*\\)*\\).*/\\1/p')
  if [ -n "$only_min" ] && [ "$base" != "$only_min" ] && [ "$(newest "$base" "$only_min")" = "$only_min" ]; then return 0; fi
  if [ -n "$only_max" ] && [ "$base" != "$only_max" ] && [ "$(newest "$base" "$only_max")" = "$base" ]; then return 0; fi
  return 1
}
newest() { printf '%s\\n%s\\n' "$1" "$2" | sort -V | tail -n 1; }

build() {
  dkms_lock 600 >&2 && dkms_register >/dev/null || { dkms_k=$release dkms_dir=$dkms_top/$release/$dkms_arch; dkms_record 75 'the kernel hook could not use dkms'; return 0; }
  if dkms_kernel "$release" >/dev/null 2>&1; then echo "blkfleet: $dkms_n $dkms_v is installed for $release"
  elif [ "$dkms_rc" = 21 ]; then echo "blkfleet: $dkms_n $dkms_v waits for the headers of $release"
  else echo "blkfleet: $dkms_n $dkms_v is NOT built for $release ($dkms_rc): $dkms_why" >&2; fi
}

for package in ${PACKAGES}/*; do
  [ -f "$package" ] || continue
  dkms_n= dkms_v= dkms_sha= dkms_modules= only_kernel= only_arch= only_min= only_max=
  while read -r key value; do
    case $key in
      name) dkms_n=$value;; version) dkms_v=$value;; source) dkms_sha=$value;;
      module) dkms_modules="$dkms_modules \${value% *}:\${value#* }";;
      kernel) only_kernel=$value;; arch) only_arch=$value;; min) only_min=$value;; max) only_max=$value;;
    esac
  done < "$package"
  dkms_use
  case $event in
    postinst|header_postinst) if excluded; then rm -f "$dkms_records/$release" "$dkms_proofs/$release"; else ( build ); fi;;
    # Where this was the only kernel with the module, dkms's own hook has forgotten the package.
    postrm)
      rm -f "$dkms_records/$release" "$dkms_proofs/$release"
      if [ -d "$dkms_src" ] && [ ! -e "$dkms_top/source" ]; then ( dkms_lock 600 >&2 && dkms_register >/dev/null ) || :; fi;;
  esac
done
exit 0
`;

function file(path: string, mode: number, text: string): HookFile {
  const bytes = Buffer.from(text);
  return { path, mode, bytes, sha256: createHash('sha256').update(bytes).digest('hex') };
}

const scriptFile = file(HOOK_SCRIPT, 0o755, script);
const wrapperFiles = Object.entries(HOOKS).map(([event, path]) => file(path, 0o755, wrapper(event)));
