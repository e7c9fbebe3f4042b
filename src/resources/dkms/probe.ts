import { shellWords } from '../../lib/shell.ts';
import type { Input } from '../kind.ts';
import { nameOf, packageOf } from './package.ts';
import { HOOK_SCRIPT, HOOKS, INSTALL_DIRS, PACKAGES, PROOFS, RECORDS, SOURCES, TREE } from './paths.ts';
import type { DkmsDesired } from './schema.ts';

/**
 * How many bytes an answer may have about the source's folder and our files. Of a folder that takes more the names are
 * not told: it is not ours.
 */
export function folderLimit(input: Input<DkmsDesired>): number {
  const found = packageOf(input);
  if (!found) return 262_144;
  const prefix = `${SOURCES}/${nameOf(input)}-${found.conf.version}`.length;
  return 262_144 + 2 * found.manifest.length + prefix * found.manifest.split('\n').length;
}

/**
 * Reads the disk and never calls dkms: each call runs the dkms.conf of every package as root, `status` ends with 0
 * whatever it finds, and says `installed` of a file that is not there. Three processes a package: grep, find, sha256sum.
 */
export function probeDkms(inputs: readonly Input<DkmsDesired>[]): string {
  const frames = inputs.map((input, index) => {
    const found = packageOf(input);
    const words = [
      nameOf(input),
      found?.conf.version ?? '',
      String(folderLimit(input)),
      ...(found?.conf.modules.map((module) => module.installed) ?? []),
    ];
    return `bf_b ${index}; dkms_probe ${shellWords(words)}; bf_e ${index} 0\n`;
  });
  return functions + frames.join('');
}

const functions = `dkms_safe() { case $1 in *[!A-Za-z0-9._+~/-]*) return 1;; esac; }
dkms_say() { dkms_o="$dkms_o$*$bf_n"; }
dkms_file() {
  [ -f "$1" ] && dkms_safe "$1" || return 0
  if [ -L "$1" ]; then dkms_follow="$dkms_follow $1"; else dkms_files="$dkms_files $1"; fi
}
dkms_probe() {
  dkms_n=$1 dkms_v=$2 dkms_max=$3 dkms_files= dkms_follow= dkms_links= dkms_o=; shift 3
  [ -d /var/lib/blkfleet ] && [ ! -r /var/lib/blkfleet ] && dkms_say denied
  command -v dkms >/dev/null 2>&1 && dkms_say tool
  for dkms_d in ${TREE}/"$dkms_n"/*/; do
    dkms_d=\${dkms_d%/}; dkms_x=\${dkms_d##*/}
    [ -d "$dkms_d" ] && [ ! -L "$dkms_d" ] && [ "$dkms_x" != original_module ] || continue
    dkms_say "version $dkms_x"
    if [ ! -e "$dkms_d/source" ]; then dkms_say "source missing $dkms_x"
    elif [ "$dkms_d/source" -ef "${SOURCES}/$dkms_n-$dkms_x" ]; then dkms_say "source right $dkms_x"
    else dkms_say "source wrong $dkms_x"; fi
    for dkms_k in "$dkms_d"/*/*/; do
      dkms_k=\${dkms_k%/}
      case $dkms_k in "$dkms_d"/build/*|"$dkms_d"/source/*|"$dkms_d"/tarball/*) continue;; esac
      [ -d "$dkms_k" ] && dkms_safe "$dkms_k" || continue
      dkms_say "tree \${dkms_k#${TREE}/"$dkms_n"/}"
      for dkms_f in "$dkms_k"/module/*.ko*; do
        dkms_file "$dkms_f"
      done
    done
  done
  for dkms_f in ${TREE}/"$dkms_n"/kernel-*; do
    [ -L "$dkms_f" ] && dkms_safe "$dkms_f" && dkms_links="$dkms_links $dkms_f"
  done
  dkms_p=${PACKAGES}/$dkms_n
  if [ $# = 0 ] && [ -f "$dkms_p" ]; then
    while read -r dkms_x dkms_y dkms_z; do [ "$dkms_x" = module ] && set -- "$@" "$dkms_z"; done < "$dkms_p"
  fi
  dkms_m=
  for dkms_x in "$@"; do
    dkms_safe "$dkms_x" && dkms_m="$dkms_m -e /$dkms_x.ko"
    for dkms_y in ${INSTALL_DIRS.join(' ')}; do
      for dkms_f in /lib/modules/*/"$dkms_y/$dkms_x".ko*; do
        dkms_file "$dkms_f"
      done
    done
  done
  for dkms_f in ${[HOOK_SCRIPT, ...Object.values(HOOKS)].join(' ')}; do
    if [ -L "$dkms_f" ]; then dkms_say "link $dkms_f"
    elif [ -f "$dkms_f" ]; then dkms_files="$dkms_files $dkms_f"; [ -x "$dkms_f" ] && dkms_say "exec $dkms_f"; fi
  done
  dkms_file "$dkms_p"
  for dkms_f in ${PACKAGES}/*; do
    [ -f "$dkms_f" ] && [ "$dkms_f" != "$dkms_p" ] && { dkms_say others; break; }
  done
  for dkms_f in ${RECORDS}/"$dkms_n"/*; do
    [ -f "$dkms_f" ] || continue
    dkms_i=0
    while IFS= read -r dkms_y && [ "$dkms_i" -lt 40 ]; do
      dkms_say "record \${dkms_f##*/} $dkms_y"; dkms_i=$((dkms_i + 1))
    done < "$dkms_f"
  done
  for dkms_f in ${PROOFS}/"$dkms_n/\${dkms_v:-?}"/*; do
    [ -f "$dkms_f" ] || continue
    while IFS= read -r dkms_y; do dkms_say "proof \${dkms_f##*/} $dkms_y"; done < "$dkms_f"
  done
  for dkms_f in ${SOURCES}/"$dkms_n"-*/dkms.conf; do
    [ -f "$dkms_f" ] && dkms_safe "$dkms_f" || continue
    dkms_x=\${dkms_f%/dkms.conf}; dkms_x=\${dkms_x#${SOURCES}/"$dkms_n"-}
    while IFS= read -r dkms_y; do
      case $dkms_y in "PACKAGE_NAME=$dkms_n"|"PACKAGE_NAME=\\"$dkms_n\\""|"PACKAGE_NAME='$dkms_n'") dkms_say "pushed $dkms_x"; break;; esac
    done < "$dkms_f"
  done
  dkms_d=${SOURCES}/$dkms_n-$dkms_v
  if [ -z "$dkms_v" ]; then dkms_d=
  elif [ -L "$dkms_d" ] || { [ -e "$dkms_d" ] && [ ! -d "$dkms_d" ]; }; then dkms_say folder link; dkms_d=
  elif [ -d "$dkms_d" ]; then dkms_say folder there
  else dkms_d=; fi
  printf %s "$dkms_o"
  [ -n "$dkms_m" ] && grep -H -a -o -s -F $dkms_m /lib/modules/*/modules.dep.bin
  [ -n "$dkms_follow" ] && sha256sum $dkms_follow
  [ -n "$dkms_links$dkms_files$dkms_d" ] || return 0
  echo disk
  # A line break in a name or a link could make up lines of its own: such an entry is only told to be there.
  set -- '(' -name "*$bf_n*" -o -lname "*$bf_n*" ')' -printf 'odd\\n' -prune -o
  dkms_x=$(find $dkms_links $dkms_files $dkms_d "$@" -printf '%y %m %U:%G %p\\n' -type l -printf 'to %l %p\\n' -o -type f -exec sha256sum {} +)
  if [ \${#dkms_x} -gt "$dkms_max" ]; then
    dkms_x=odd
    [ -z "$dkms_links$dkms_files" ] || dkms_x="odd$bf_n$(find $dkms_links $dkms_files "$@" -type l -printf 'to %l %p\\n' -o -type f -exec sha256sum {} +)"
  fi
  printf '%s\\n' "$dkms_x"
}
`;
