import { type ModuleFile, parseModinfo } from '../../facts/modinfo.ts';
import { FleetError } from '../../lib/errors.ts';
import { shellWords } from '../../lib/shell.ts';
import type { Input } from '../kind.ts';
import {
  ATTEMPTS,
  CHECKED,
  GUARD,
  optionsPath,
  QUARANTINE,
  UNWELL,
  unitName,
  unitPath,
  WANTS,
} from './files.ts';
import type { KernelModuleDesired } from './schema.ts';

/** A module on one host: in the kernel, on disk, and our files about it. */
export interface ModuleState {
  /** /sys/module/NAME is there; builtin modules have no initstate */
  loaded?: {
    initstate: string;
    srcversion: string;
    refcnt: number;
    holders: readonly string[];
    /** readable ones only */
    parameters: ReadonlyMap<string, string>;
  };
  builtin: boolean;
  /** as kmod finds it for the running kernel */
  file?: ModuleFile;
  /** installed kernels that have a module of the name where dkms puts them */
  kernels: ReadonlySet<string>;
  /** our files: path → sha256, '' where it is a link */
  ours: ReadonlyMap<string, string>;
  /** the unit is linked into multi-user.target */
  enabled: boolean;
  /** first line of the quarantine note */
  quarantine?: string;
  /** what was wrong after the load that this boot still lives with */
  unwell?: string;
  /** our stamps and notes that are there */
  notes: ReadonlySet<string>;
  /** why no module at all can be loaded from this session */
  unable?: string;
  /** modprobe is told not to load it: the line that does */
  refused?: string;
  /** keys that the kernel trusts for modules, as /proc/keys describes them */
  keys: readonly string[];
  /** a key waits for its enrolment at the next boot (shim's MokNew) */
  enrolment: boolean;
}

/** One modinfo and one sha256sum a module; the rest is read by the shell itself. */
export function probeModules(inputs: readonly Input<KernelModuleDesired>[]): string {
  return (
    functions +
    inputs
      .map(({ desired }, i) => {
        const word = shellWords([
          desired.name,
          unitName(desired.name),
          unitPath(desired.name),
          optionsPath(desired.name),
        ]);
        return `bf_b ${i}; kernel_module_probe ${word}; bf_e ${i} 0\n`;
      })
      .join('')
  );
}

const functions = `kernel_module_line() { { IFS= read -r kernel_module_v < "$2"; } 2>/dev/null && printf '%s %.1024s\\n' "$1" "$kernel_module_v"; }
kernel_module_probe() {
  kernel_module_n=$1 kernel_module_s=/sys/module/$1 kernel_module_files=
  [ -d /var/lib/blkfleet ] && [ ! -r /var/lib/blkfleet ] && echo denied
  if [ -d "$kernel_module_s" ]; then
    echo loaded
    for kernel_module_f in initstate srcversion refcnt; do kernel_module_line "$kernel_module_f" "$kernel_module_s/$kernel_module_f"; done
    for kernel_module_f in "$kernel_module_s"/holders/*; do [ -e "$kernel_module_f" ] && printf 'holder %s\\n' "\${kernel_module_f##*/}"; done
    for kernel_module_f in "$kernel_module_s"/parameters/*; do
      [ -e "$kernel_module_f" ] && kernel_module_line "parameter \${kernel_module_f##*/}" "$kernel_module_f"
    done
  fi
  for kernel_module_d in updates/dkms extra updates; do
    for kernel_module_f in /lib/modules/*/"$kernel_module_d/$1".ko*; do
      [ -e "$kernel_module_f" ] || continue
      kernel_module_f=\${kernel_module_f#/lib/modules/}; printf 'kernel %s\\n' "\${kernel_module_f%%/*}"
    done
  done
  for kernel_module_f in "$3" "$4" ${GUARD}; do
    if [ -L "$kernel_module_f" ]; then printf 'link %s\\n' "$kernel_module_f"
    elif [ -f "$kernel_module_f" ]; then kernel_module_files="$kernel_module_files $kernel_module_f"; fi
  done
  [ -n "$kernel_module_files" ] && sha256sum $kernel_module_files
  [ -x ${GUARD} ] && echo guard
  [ "${WANTS}/$2" -ef "$3" ] && echo enabled
  for kernel_module_f in ${QUARANTINE} ${ATTEMPTS} ${CHECKED} ${UNWELL}; do
    [ -e "$kernel_module_f/$1" ] && printf 'note %s\\n' "$kernel_module_f/$1"
  done
  [ -e "${WANTS}/$2" ] || [ -L "${WANTS}/$2" ] && printf 'note %s\\n' "${WANTS}/$2"
  kernel_module_line quarantine "${QUARANTINE}/$1"
  if [ -r "${UNWELL}/$1" ]; then
    { read -r kernel_module_x; read -r kernel_module_y; } < "${UNWELL}/$1"
    read -r kernel_module_v < /proc/sys/kernel/random/boot_id
    [ "$kernel_module_v" = "$kernel_module_x" ] && printf 'unwell %.400s\n' "$kernel_module_y"
  fi
  if [ ! -d "$kernel_module_s" ]; then
    if [ ! -e /proc/modules ]; then echo 'unable the running kernel has no loadable modules'; fi
    while read -r kernel_module_x kernel_module_y; do
      [ "$kernel_module_x" = CapEff: ] || continue
      # Bit 16 is CAP_SYS_MODULE, capabilities(7).
      [ $((0x$kernel_module_y >> 16 & 1)) = 1 ] || echo 'unable the session may not load modules there: it is not root, or that is a container'
      break
    done < /proc/self/status
    { read -r kernel_module_v < /proc/cmdline; } 2>/dev/null
    for kernel_module_f in $kernel_module_v; do
      case $kernel_module_f in module_blacklist=*|modprobe.blacklist=*)
        case ",\${kernel_module_f#*=}," in *",$1,"*) [ "\${kernel_module_f%%=*}" = module_blacklist ] && printf 'refused %s on the kernel command line\\n' "$kernel_module_f";; esac;;
      esac
    done
    kernel_module_v=
    # One digit and no end of line for a shell that reads byte by byte.
    { read -r kernel_module_v < /proc/sys/kernel/modules_disabled; } 2>/dev/null
    [ "$kernel_module_v" = 1 ] && echo 'refused kernel.modules_disabled=1'
    for kernel_module_f in /etc/modprobe.d/*.conf /run/modprobe.d/*.conf /usr/lib/modprobe.d/*.conf /lib/modprobe.d/*.conf; do
      [ -r "$kernel_module_f" ] || continue
      while read -r kernel_module_x kernel_module_y kernel_module_z; do
        [ "$kernel_module_x" = install ] || continue
        case $kernel_module_z in */bin/false*|*/bin/true*) ;; *) continue;; esac
        [ "$(printf %s "$kernel_module_y" | tr - _)" = "$1" ] && printf 'refused install %s %.200s in %s\\n' "$1" "$kernel_module_z" "$kernel_module_f"
      done < "$kernel_module_f"
    done
    if [ -r /proc/keys ]; then
      while read -r _ _ _ _ _ _ _ kernel_module_x kernel_module_y; do
        [ "$kernel_module_x" = asymmetri ] && printf 'key %.200s\\n' "$kernel_module_y"
      done < /proc/keys
    fi
    [ -e /sys/firmware/efi/efivars/MokNew-605dab50-e046-4300-abb6-3dd810dd8b23 ] && echo enrolment
  fi
  echo modinfo
  command -v modinfo >/dev/null 2>&1 && modinfo "$1" 2>/dev/null | head -c 65536
  echo
}
`;

/** @throws FleetError E_PROBE where the host refused to let us look, or the answer is beyond any sense */
export function parseModule(output: Buffer, { desired }: Input<KernelModuleDesired>): ModuleState {
  if (output.length > 262_144)
    throw new FleetError({
      code: 'E_PROBE',
      message: `the answer about ${desired.name} is longer than 256 KiB`,
    });
  const text = output.toString('latin1');
  const cut = text.indexOf('\nmodinfo\n');
  const head = (text.startsWith('modinfo\n') ? '' : cut < 0 ? text : text.slice(0, cut)).split('\n');
  if (head.includes('denied'))
    throw new FleetError({
      code: 'E_PROBE',
      message: `the state of ${desired.name} can not be read there`,
      hint: 'run this task with become: true',
    });
  const value = (key: string) => head.find((line) => line.startsWith(`${key} `))?.slice(key.length + 1);
  const all = (key: string) =>
    head.filter((line) => line.startsWith(`${key} `)).map((line) => line.slice(key.length + 1));
  const ours = new Map<string, string>();
  for (const line of head) {
    const hash = /^([0-9a-f]{64}) {2}(\/[A-Za-z0-9_./-]+)$/.exec(line);
    if (hash) ours.set(hash[2]!, hash[1]!);
  }
  for (const path of all('link')) ours.set(path, '');
  if (ours.has(GUARD) && !head.includes('guard')) ours.set(GUARD, '');
  const file = parseModinfo(
    text.startsWith('modinfo\n') ? text.slice(8) : cut < 0 ? '' : text.slice(cut + 9),
  );
  const builtin = file?.filename === '(builtin)';
  const parameters = new Map(
    all('parameter').map((line) => {
      const space = line.indexOf(' ');
      return space < 0 ? ([line, ''] as const) : ([line.slice(0, space), line.slice(space + 1)] as const);
    }),
  );
  const quarantine = value('quarantine');
  const refused = value('refused');
  const unwell = value('unwell');
  const unable = value('unable');
  return {
    ...(head.includes('loaded') && !builtin
      ? {
          loaded: {
            initstate: value('initstate') ?? '',
            srcversion: value('srcversion') ?? '',
            refcnt: /^\d{1,9}$/.test(value('refcnt') ?? '') ? Number(value('refcnt')) : -1,
            holders: all('holder').slice(0, 20),
            parameters,
          },
        }
      : {}),
    builtin,
    ...(file && !builtin ? { file } : {}),
    kernels: new Set(all('kernel')),
    ours,
    enabled: head.includes('enabled'),
    ...(quarantine !== undefined ? { quarantine } : {}),
    ...(unwell !== undefined ? { unwell } : {}),
    ...(unable !== undefined ? { unable } : {}),
    notes: new Set(all('note')),
    ...(refused !== undefined ? { refused } : {}),
    keys: all('key').slice(0, 100),
    enrolment: head.includes('enrolment'),
  };
}
