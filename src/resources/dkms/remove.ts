import { shellQuote, shellWords } from '../../lib/shell.ts';
import type { Input, Step } from '../kind.ts';
import { buildFunctions } from './build-script.ts';
import { nameOf, packageOf } from './package.ts';
import {
  FOLDERS,
  HOOK_SCRIPT,
  HOOKS,
  INSTALL_DIRS,
  PACKAGES,
  PROOFS,
  RECORDS,
  SOURCES,
  TREE,
} from './paths.ts';
import type { DkmsDesired } from './schema.ts';

/**
 * Removes every version, by dkms where it can, and then what is still on the disk: `remove --all` ends with 0 and does
 * nothing where the source is gone. Folders go where they are empty; the hooks with the last package.
 */
export function absentStep(input: Input<DkmsDesired>): Step {
  const name = nameOf(input);
  const modules = packageOf(input)?.conf.modules.map((module) => module.installed) ?? [];
  const hooks = [HOOK_SCRIPT, ...Object.values(HOOKS)];
  const script = `umask 022
dkms_n=${shellQuote(name)} dkms_v=0 dkms_sha=0 dkms_modules= dkms_by=job dkms_arch=x
${buildFunctions}dkms_base=${TREE}/$dkms_n
if command -v dkms >/dev/null 2>&1; then dkms_lock 1200; fi

# The names of its modules: as declared, as we noted them, as they stand in the tree.
dkms_names=${shellQuote(modules.join(' '))}
if [ -f "${PACKAGES}/$dkms_n" ]; then
  while read -r dkms_x dkms_y dkms_z; do [ "$dkms_x" != module ] || dkms_names="$dkms_names $dkms_z"; done < "${PACKAGES}/$dkms_n"
fi
for dkms_f in "$dkms_base"/*/*/*/module/*.ko*; do
  [ -f "$dkms_f" ] || continue
  dkms_x=\${dkms_f##*/}
  dkms_names="$dkms_names \${dkms_x%%.ko*}"
done

for dkms_d in "$dkms_base"/*/; do
  dkms_d=\${dkms_d%/} dkms_v=\${dkms_d##*/}
  [ -d "$dkms_d" ] && [ ! -L "$dkms_d" ] && [ "$dkms_v" != original_module ] || continue
  if [ -e "$dkms_d/source/dkms.conf" ] && command -v dkms >/dev/null 2>&1; then
    dkms remove -m "$dkms_n" -v "$dkms_v" --all </dev/null || :
  fi
  [ ! -e "$dkms_d" ] || { echo "dkms left $dkms_d: removing it"; rm -rf "$dkms_d"; }
done
for dkms_f in "$dkms_base"/kernel-*; do
  if [ -L "$dkms_f" ]; then rm -f "$dkms_f"; fi
done
if [ -d "$dkms_base/original_module" ]; then
  echo "dkms keeps modules of the kernel's own in $dkms_base/original_module and did not put them back" >&2; exit 1
fi
if [ -d "$dkms_base" ]; then rmdir "$dkms_base"; fi

for dkms_l in /lib/modules/*/; do
  dkms_l=\${dkms_l%/} dkms_changed=0
  for dkms_m in $dkms_names; do
    for dkms_x in ${INSTALL_DIRS.join(' ')}; do
      for dkms_f in "$dkms_l/$dkms_x/$dkms_m".ko "$dkms_l/$dkms_x/$dkms_m".ko.*; do
        if [ -f "$dkms_f" ]; then echo "removing $dkms_f"; rm -f "$dkms_f"; dkms_changed=1; fi
      done
    done
  done
  for dkms_x in ${INSTALL_DIRS.join(' ')}; do
    if [ -d "$dkms_l/$dkms_x" ]; then rmdir "$dkms_l/$dkms_x" 2>/dev/null || :; fi
  done
  if [ "$dkms_changed" = 1 ]; then depmod "\${dkms_l##*/}" || :; fi
done

for dkms_f in ${SOURCES}/"$dkms_n"-*/dkms.conf; do
  [ -f "$dkms_f" ] || continue
  if grep -qE "^PACKAGE_NAME=[\\"']?$(printf '%s' "$dkms_n" | sed 's/[.+]/\\\\&/g')[\\"']?[[:space:]]*$" "$dkms_f"; then rm -rf "\${dkms_f%/dkms.conf}"; fi
done
rm -rf "${RECORDS}/$dkms_n" "${PROOFS}/$dkms_n" "${PACKAGES}/$dkms_n" ${SOURCES}/.blkfleet-* ${TREE}/.blkfleet-*
for dkms_d in ${shellWords([PACKAGES, RECORDS, PROOFS])}; do
  if [ -d "$dkms_d" ]; then rmdir "$dkms_d" 2>/dev/null || :; fi
done
if [ ! -d ${PACKAGES} ]; then
  rm -f ${shellWords(hooks)}
  if [ -f ${FOLDERS} ]; then
    while read -r dkms_d; do
      case $dkms_d in /etc/kernel/*.d) rmdir "$dkms_d" 2>/dev/null || :;; esac
    done < ${FOLDERS}
    rm -f ${FOLDERS}
  fi
  if [ -d ${HOOK_SCRIPT.replace(/\/[^/]*$/, '')} ]; then rmdir ${HOOK_SCRIPT.replace(/\/[^/]*$/, '')} 2>/dev/null || :; fi
fi
if [ -d /var/lib/blkfleet ]; then rmdir /var/lib/blkfleet 2>/dev/null || :; fi
for dkms_d in "$dkms_base" ${SOURCES}/"$dkms_n"-*/dkms.conf; do
  if [ -e "$dkms_d" ] && { [ "$dkms_d" = "$dkms_base" ] || grep -qE "^PACKAGE_NAME=[\\"']?$dkms_n[\\"']?[[:space:]]*$" "$dkms_d"; }; then
    echo "still there: $dkms_d" >&2; exit 1
  fi
done
`;
  return { title: `remove every version of ${name}`, script, deadline: 1500 };
}
