import { shellQuote } from '../../lib/shell.ts';
import type { Step } from '../kind.ts';
import { ATTEMPTS, CHECKED, UNWELL } from './files.ts';
import { acceptedTexts } from './parameters.ts';
import type { KernelModuleDesired } from './schema.ts';

/** What the kernel prints when it is not well; the same words that the canary's health is judged by. */
const BAD_LINES =
  'BUG:|Oops|WARNING:|general protection|KASAN|UBSAN|INFO: task .* blocked|soft lockup|rcu_.*stall|Call Trace|Unknown symbol|disagrees about version|unknown parameter|\\[ end trace';

/** O: out of tree, E: unsigned. Any other new taint bit is a failure. */
const ALLOWED_TAINT = 4096 | 8192;

const loadSeconds = 60;

const common = (name: string) => `kernel_module_n=${name}
kernel_module_state() { if [ -r "/sys/module/$kernel_module_n/initstate" ]; then cat "/sys/module/$kernel_module_n/initstate"; fi; }
kernel_module_unused() {
  [ "$(cat "/sys/module/$kernel_module_n/refcnt" 2>/dev/null)" = 0 ] || return 1
  for kernel_module_f in "/sys/module/$kernel_module_n/holders"/*; do
    if [ -e "$kernel_module_f" ]; then return 1; fi
  done
}
kernel_module_unload() {
  if [ -z "$(kernel_module_state)" ]; then return 0; fi
  kernel_module_unused || { echo "$kernel_module_n is in use: not touched" >&2; return 1; }
  timeout -k 5 30 rmmod "$kernel_module_n" || { echo "$kernel_module_n could not be unloaded" >&2; return 1; }
  [ ! -e "/sys/module/$kernel_module_n" ] || { echo "$kernel_module_n is still there after rmmod" >&2; return 1; }
}
`;

/** Unloads a module that nothing uses; whether that still holds is asked again, first. Never by force. */
export function unloadScript(name: string): Pick<Step, 'script' | 'guard'> {
  return { script: `${common(name)}kernel_module_unload\n`, guard: unusedGuard(name) };
}

function unusedGuard(name: string): string {
  return `${common(name)}[ -z "$(kernel_module_state)" ] || kernel_module_unused || { echo ${name}' is in use now' >&2; exit 1; }\n`;
}

/**
 * Loads (or unloads and loads) a module and looks whether the kernel is well after it: initstate, kernel log since our
 * own mark, taint, parameters in force. While this runs a note tells the guard of the next boot that the host went down
 * with the module. After an oops nothing is unloaded: that would make it worse.
 */
export function loadStep(desired: KernelModuleDesired, reload: boolean): Step {
  const { name, parameters } = desired;
  const checks = Object.entries(parameters)
    .map(([key, value]) => `kernel_module_check ${key} ${acceptedTexts(value).map(shellQuote).join(' ')}\n`)
    .join('');
  const script = `${common(name)}umask 077
case $(kernel_module_state) in
  ''|live) ;;
  *) echo "$kernel_module_n is stuck in the state '$(kernel_module_state)': another modprobe would hang. Reboot the host" >&2; exit 1;;
esac
modinfo -F filename "$kernel_module_n" >/dev/null 2>&1 || { echo "there is no $kernel_module_n.ko for the running kernel $(uname -r): it was not built for it, or depmod has not run" >&2; exit 1; }
${reload ? 'kernel_module_unload\n' : 'if [ "$(kernel_module_state)" = live ]; then echo "$kernel_module_n is loaded already"; fi\n'}rm -f ${CHECKED}/${name} ${UNWELL}/${name}
rmdir ${UNWELL} 2>/dev/null || :
mkdir -p ${ATTEMPTS}
kernel_module_a=${ATTEMPTS}/${name}
printf 'loaded by a run of blkfleet\\nkernel %s\\nat %s\\n' "$(uname -r)" "$(date -u +%Y-%m-%dT%H:%M:%SZ)" > "$kernel_module_a"
sync "$kernel_module_a" ${ATTEMPTS}
kernel_module_calm() { rm -f "$kernel_module_a"; rmdir ${ATTEMPTS} 2>/dev/null || :; }
kernel_module_mark="blkfleet: loading $kernel_module_n $(cat /proc/sys/kernel/random/uuid)"
{ printf '<6>%s\\n' "$kernel_module_mark" > /dev/kmsg; } 2>/dev/null || kernel_module_mark=
kernel_module_log() {
  if [ -n "$kernel_module_mark" ]; then dmesg 2>/dev/null | sed -n "/$kernel_module_mark/,\\$ p" | sed 1d; fi
}
# By cat: read takes a number in /proc/sys byte by byte and gets the first digit only.
kernel_module_t=$(cat /proc/sys/kernel/tainted)
# Beside us: an init that sleeps can not be killed, and whoever waits for it would wait with it.
: > "$BF_TMP/err"
kernel_module_b=$(date +%s)
{ kernel_module_rc=0; timeout -k 1 ${loadSeconds} modprobe "$kernel_module_n" || kernel_module_rc=$?; echo "$kernel_module_rc" > "$BF_TMP/rc.new"; mv "$BF_TMP/rc.new" "$BF_TMP/rc"; } >"$BF_TMP/err" 2>&1 &
kernel_module_i=0
while [ ! -e "$BF_TMP/rc" ] && [ "$kernel_module_i" -lt ${(loadSeconds + 2) * 10} ]; do sleep 0.1; kernel_module_i=$((kernel_module_i + 1)); done
if [ -e "$BF_TMP/rc" ]; then read -r kernel_module_rc < "$BF_TMP/rc"; else kernel_module_rc=124; fi
# timeout ends with 137 too where it had to kill; an oops does so at once.
if [ "$kernel_module_rc" = 137 ] && [ $(($(date +%s) - kernel_module_b)) -ge ${loadSeconds} ]; then kernel_module_rc=124; fi
cat "$BF_TMP/err"
kernel_module_log | tail -n 30
if [ "$kernel_module_rc" != 0 ]; then
${explain}
  case $kernel_module_rc.$(kernel_module_state) in
    124.*|1[3-5][0-9].*|*.coming|*.going) ;;
    *) kernel_module_calm;;
  esac
  exit 1
fi
kernel_module_bad=0
kernel_module_fault() {
  printf '%s\n' "$*" >&2
  [ "$kernel_module_bad" != 0 ] || kernel_module_bad=$(printf '%s\n' "$*" | tr -s '\n\t' '  ' | cut -c1-300)
}
[ "$(kernel_module_state)" = live ] || kernel_module_fault "modprobe ended with 0, but the state of $kernel_module_n is '$(kernel_module_state)'"
kernel_module_x=$(kernel_module_log | grep -E ${shellQuote(BAD_LINES)} | head -n 10) || :
[ -z "$kernel_module_x" ] || kernel_module_fault "the kernel warned while $kernel_module_n was loaded:
$kernel_module_x"
kernel_module_u=$(cat /proc/sys/kernel/tainted)
kernel_module_x=$((kernel_module_u & ~kernel_module_t & ~${ALLOWED_TAINT}))
[ "$kernel_module_x" = 0 ] || kernel_module_fault "loading $kernel_module_n tainted the kernel: bits $kernel_module_x (before $kernel_module_t, now $kernel_module_u)"
kernel_module_check() {
  kernel_module_p=$1; shift
  if [ ! -r "/sys/module/$kernel_module_n/parameters/$kernel_module_p" ]; then
    if [ -e "/sys/module/$kernel_module_n/parameters/$kernel_module_p" ]; then return 0; fi
    echo "parameter $kernel_module_p can not be read back: it has no file in /sys/module"
    return 0
  fi
  kernel_module_v=$(cat "/sys/module/$kernel_module_n/parameters/$kernel_module_p")
  for kernel_module_w in "$@"; do
    if [ "$kernel_module_v" = "$kernel_module_w" ]; then return 0; fi
  done
  kernel_module_fault "parameter $kernel_module_p is '$kernel_module_v' in force, declared is '$1'"
}
${checks}if [ "$kernel_module_bad" != 0 ]; then
  # Live it is all the same: without a note the next run would find nothing wrong.
  mkdir -p ${UNWELL}
  { cat /proc/sys/kernel/random/boot_id; printf '%s\n' "$kernel_module_bad"; } > ${UNWELL}/${name}
  # The note stays after an oops or a lockup: such a host may go down any time.
  [ $((kernel_module_x & (128 | 16384))) != 0 ] || kernel_module_calm
  echo 'it is left loaded; look at the kernel log before anything else' >&2
  exit 1
fi
kernel_module_calm
`;
  return {
    title: `${reload ? 'reload' : 'load'} ${name}`,
    script,
    ...(reload ? { guard: unusedGuard(name) } : {}),
    deadline: loadSeconds + 60,
  };
}

/** modprobe says little, and some of it misleads; measured with kmod 30. */
const explain = `  kernel_module_x=$(cat "$BF_TMP/err"; kernel_module_log)
  case $kernel_module_rc in
    124) kernel_module_y="it did not end within ${loadSeconds} s: its init hangs. Reboot the host before another try";;
    1[3-5][0-9]) kernel_module_y='modprobe was killed: the module crashed the kernel in its init. Reboot the host';;
    *)
      case $kernel_module_x in
        *'Key was rejected'*) kernel_module_y='its signature is not trusted: enrol the key with mokutil, or turn Secure Boot off';;
        *'disagrees about version'*) kernel_module_y='it was built against another kernel than the one that runs: build it again';;
        *'Invalid module format'*|*'Exec format error'*) kernel_module_y='the file is damaged, or made for another kernel: build it again';;
        *'Unknown symbol'*) kernel_module_y='a symbol is missing: run depmod, or a module that it needs is not there';;
        *'Operation not permitted'*) kernel_module_y='the kernel refuses: lockdown, module_blacklist= on its command line, kernel.modules_disabled, or this is a container';;
        *'not found'*) kernel_module_y="there is no file of it for $(uname -r)";;
        *'Invalid parameters'*|*'Invalid argument'*) kernel_module_y='a parameter has a value that it does not take';;
        *'No such device'*) kernel_module_y='it found nothing to drive on this host';;
        *) kernel_module_y='see the kernel log above';;
      esac;;
  esac
  echo "$kernel_module_n was not loaded (modprobe ended with $kernel_module_rc): $kernel_module_y" >&2`;
