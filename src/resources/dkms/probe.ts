import { shellWords } from '../../lib/shell.ts';
import type { Input } from '../kind.ts';
import { nameOf, packageOf } from './package.ts';
import {
  HOOK_SCRIPT,
  HOOKS,
  INSTALL_DIRS,
  manifestFunction,
  PACKAGES,
  PROOFS,
  RECORDS,
  SOURCES,
  TREE,
} from './paths.ts';
import type { DkmsDesired } from './schema.ts';

/**
 * Reads the disk and never calls dkms: each call runs the dkms.conf of every package as root, `status` ends with 0
 * whatever it finds, and says `installed` of a file that is not there. About ten forks a package.
 */
export function probeDkms(inputs: readonly Input<DkmsDesired>[]): string {
  const frames = inputs.map((input, index) => {
    const found = packageOf(input);
    const words = [
      nameOf(input),
      found?.conf.version ?? '',
      found?.sha256 ?? '',
      ...(found?.conf.modules.map((module) => module.installed) ?? []),
    ];
    return `bf_b ${index}; dkms_probe ${shellWords(words)}; bf_e ${index} 0\n`;
  });
  return functions + frames.join('');
}

const functions = `${manifestFunction}dkms_safe() { case $1 in *[!A-Za-z0-9._+~/-]*) return 1;; esac; }
dkms_probe() {
  dkms_n=$1 dkms_v=$2 dkms_want=$3 dkms_files=; shift 3
  [ -d /var/lib/blkfleet ] && [ ! -r /var/lib/blkfleet ] && echo denied
  command -v dkms >/dev/null 2>&1 && echo tool
  for dkms_d in ${TREE}/"$dkms_n"/*/; do
    dkms_d=\${dkms_d%/}; dkms_x=\${dkms_d##*/}
    [ -d "$dkms_d" ] && [ ! -L "$dkms_d" ] && [ "$dkms_x" != original_module ] || continue
    printf 'version %s\\n' "$dkms_x"
    if [ ! -e "$dkms_d/source" ]; then printf 'source missing %s\\n' "$dkms_x"
    elif [ "$dkms_d/source" -ef "${SOURCES}/$dkms_n-$dkms_x" ]; then printf 'source right %s\\n' "$dkms_x"
    else printf 'source wrong %s\\n' "$dkms_x"; fi
    for dkms_k in "$dkms_d"/*/*/; do
      dkms_k=\${dkms_k%/}
      case $dkms_k in "$dkms_d"/build/*|"$dkms_d"/source/*|"$dkms_d"/tarball/*) continue;; esac
      [ -d "$dkms_k" ] && dkms_safe "$dkms_k" || continue
      printf 'tree %s\\n' "\${dkms_k#${TREE}/"$dkms_n"/}"
      for dkms_f in "$dkms_k"/module/*.ko*; do
        [ -f "$dkms_f" ] && dkms_safe "$dkms_f" && dkms_files="$dkms_files $dkms_f"
      done
    done
  done
  for dkms_f in ${TREE}/"$dkms_n"/kernel-*; do
    if [ -L "$dkms_f" ]; then readlink ${TREE}/"$dkms_n"/kernel-* | while IFS= read -r dkms_x; do printf 'active %s\\n' "$dkms_x"; done; break; fi
  done
  dkms_p=${PACKAGES}/$dkms_n
  if [ $# = 0 ] && [ -f "$dkms_p" ]; then
    while read -r dkms_x dkms_y dkms_z; do [ "$dkms_x" = module ] && set -- "$@" "$dkms_z"; done < "$dkms_p"
  fi
  for dkms_x in "$@"; do
    for dkms_y in $(grep -l -s -F -e "/$dkms_x.ko" /lib/modules/*/modules.dep.bin); do
      dkms_y=\${dkms_y%/*}; printf 'indexed %s %s\\n' "\${dkms_y##*/}" "$dkms_x"
    done
  done
  for dkms_x in "$@"; do
    for dkms_y in ${INSTALL_DIRS.join(' ')}; do
      for dkms_f in /lib/modules/*/"$dkms_y/$dkms_x".ko*; do
        [ -f "$dkms_f" ] && dkms_safe "$dkms_f" && dkms_files="$dkms_files $dkms_f"
      done
    done
  done
  for dkms_f in ${[HOOK_SCRIPT, ...Object.values(HOOKS)].join(' ')}; do
    if [ -L "$dkms_f" ]; then printf 'link %s\\n' "$dkms_f"
    elif [ -f "$dkms_f" ]; then dkms_files="$dkms_files $dkms_f"; [ -x "$dkms_f" ] && printf 'exec %s\\n' "$dkms_f"; fi
  done
  [ -f "$dkms_p" ] && dkms_files="$dkms_files $dkms_p"
  for dkms_f in ${PACKAGES}/*; do
    [ -f "$dkms_f" ] && [ "$dkms_f" != "$dkms_p" ] && { echo others; break; }
  done
  [ -n "$dkms_files" ] && sha256sum $dkms_files
  for dkms_f in ${RECORDS}/"$dkms_n"/*; do
    [ -f "$dkms_f" ] || continue
    dkms_i=0
    while IFS= read -r dkms_y && [ "$dkms_i" -lt 40 ]; do
      printf 'record %s %.500s\\n' "\${dkms_f##*/}" "$dkms_y"; dkms_i=$((dkms_i + 1))
    done < "$dkms_f"
  done
  for dkms_f in ${PROOFS}/"$dkms_n/\${dkms_v:-?}"/*; do
    [ -f "$dkms_f" ] || continue
    while IFS= read -r dkms_y; do printf 'proof %s %.200s\\n' "\${dkms_f##*/}" "$dkms_y"; done < "$dkms_f"
  done
  for dkms_f in ${SOURCES}/"$dkms_n"-*/dkms.conf; do
    [ -f "$dkms_f" ] && dkms_safe "$dkms_f" || continue
    dkms_x=\${dkms_f%/dkms.conf}; dkms_x=\${dkms_x#${SOURCES}/"$dkms_n"-}
    while IFS= read -r dkms_y; do
      case $dkms_y in "PACKAGE_NAME=$dkms_n"|"PACKAGE_NAME=\\"$dkms_n\\""|"PACKAGE_NAME='$dkms_n'") printf 'pushed %s\\n' "$dkms_x"; break;; esac
    done < "$dkms_f"
  done
  dkms_d=${SOURCES}/$dkms_n-$dkms_v
  if [ -z "$dkms_v" ]; then :
  elif [ -L "$dkms_d" ]; then echo manifest link
  elif [ -d "$dkms_d" ]; then
    if [ "$(dkms_manifest_sha "$dkms_d")" = "$dkms_want" ]; then echo manifest same
    else echo manifest other; dkms_manifest "$dkms_d" | head -c 262144; fi
  elif [ -e "$dkms_d" ]; then echo manifest link
  fi
}
`;
