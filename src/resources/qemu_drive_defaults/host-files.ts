import { sha256 } from './changes.ts';
import { MADE } from './paths.ts';

/** sh text that holds while a file is as it was planned from, or already as it shall be; null is no file. */
export function fileGuard(path: string, from: string | null, to: string | null): string {
  const is = (text: string | null) =>
    text === null
      ? `[ ! -e ${path} ] && [ ! -L ${path} ]`
      : `[ -f ${path} ] && [ ! -L ${path} ] && [ "$(sha256sum < ${path} | cut -c 1-64)" = ${sha256(text)} ]`;
  return `if ${is(from)}; then exit 0; fi
if ${is(to)}; then exit 0; fi
echo '${path} changed since it was planned' >&2
exit 1
`;
}

/** A file is made whole beside its place and gets there by one rename; what stands there keeps its mode and owner. */
export const fileFunctions = `qemu_drive_defaults_die() { printf '%s\\n' "$1" >&2; exit 1; }
qemu_drive_defaults_folder() {
  if [ -d "$1" ]; then return 0; fi
  [ "$1" = / ] || qemu_drive_defaults_folder "$(dirname -- "$1")"
  # Noted first, so that a run that is killed here can still be undone.
  grep -qxF -- "$1" ${MADE} 2>/dev/null || { printf '%s\\n' "$1" >> ${MADE}; sync ${MADE} 2>/dev/null || :; }
  mkdir -m 0755 -- "$1"
}
qemu_drive_defaults_put() {
  rm -f -- "$2".blkfleet-new
  cat -- "$BF_PAYLOAD/$1" > "$2".blkfleet-new || qemu_drive_defaults_die "no space to write $2"
  chmod 0644 -- "$2".blkfleet-new
  if [ -f "$2" ]; then
    chmod --reference="$2" -- "$2".blkfleet-new
    chown --reference="$2" -- "$2".blkfleet-new
  fi
  sync "$2".blkfleet-new 2>/dev/null || sync
  mv -T -f -- "$2".blkfleet-new "$2"
  if command -v restorecon >/dev/null 2>&1; then restorecon -F -- "$2" 2>/dev/null || :; fi
}
`;
