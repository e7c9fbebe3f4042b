import { INSTALL_DIRS, manifestFunction, PROOFS, RECORDS, SOURCES, TREE } from './paths.ts';

/** Kilobytes and inodes that must be free before a build: dkms takes a full disk for success. */
const MIN_KIB = 204_800;
const MIN_INODES = 10_000;

/**
 * Functions in sh that build and install one package, used by the steps and by the kernel hook alike. They want
 * `dkms_n dkms_v dkms_sha` (name, version, sha256 of the source's manifest), `dkms_arch`, `dkms_modules` (words
 * `BUILT:INSTALLED`) and `dkms_by` (job, hook). dkms's exit status and words decide nothing: files do.
 */
export const buildFunctions = `${manifestFunction}dkms_tree=${TREE}
dkms_use() { dkms_src=${SOURCES}/$dkms_n-$dkms_v dkms_top=$dkms_tree/$dkms_n/$dkms_v dkms_records=${RECORDS}/$dkms_n dkms_proofs=${PROOFS}/$dkms_n/$dkms_v; }

# One dkms at a time: it has no lock, and one build folder a version. The lock is on its program, so that no lock file
# is left behind; what others start (apt's hooks) is waited for.
dkms_lock() {
  dkms_bin=$(command -v dkms) || { echo 'dkms is not installed there: declare package: { names: [dkms] } before' >&2; return 1; }
  exec 8<"$dkms_bin"
  flock -w "$1" 8 || { echo "another build of blkfleet still runs after $1 s" >&2; return 75; }
  dkms_i=0
  while dkms_p=$(dkms_foreign) && [ -n "$dkms_p" ]; do
    [ "$dkms_i" -gt 0 ] || echo "waiting for another dkms (process $dkms_p)"
    [ "$dkms_i" -lt "$1" ] || { echo "another dkms (process $dkms_p) still runs after $1 s" >&2; return 75; }
    sleep 2; dkms_i=$((dkms_i + 2))
  done
}
dkms_foreign() {
  for dkms_p in /proc/[0-9]*; do
    { read -r dkms_x < "$dkms_p/comm"; } 2>/dev/null || continue
    if [ "$dkms_x" = dkms ] && [ "$dkms_p/root" -ef / ]; then echo "\${dkms_p#/proc/}"; return 0; fi
  done
}

dkms_space() {
  for dkms_d in ${SOURCES} $dkms_tree /lib/modules /tmp; do
    [ -d "$dkms_d" ] || continue
    dkms_x=$( { df -Pk "$dkms_d" | tail -n 1; df -Pi "$dkms_d" | tail -n 1; } 2>/dev/null | {
      read -r _ _ _ dkms_a _ || exit 0
      read -r _ _ _ dkms_b _ || dkms_b=-
      case $dkms_a in ''|*[!0-9]*) ;; *) [ "$dkms_a" -ge ${MIN_KIB} ] || echo "only $((dkms_a / 1024)) MB free, ${MIN_KIB / 1024} needed";; esac
      case $dkms_b in ''|0|*[!0-9]*) ;; *) [ "$dkms_b" -ge ${MIN_INODES} ] || echo "only $dkms_b inodes free, ${MIN_INODES} needed";; esac
    } )
    [ -z "$dkms_x" ] || { dkms_why="$dkms_d: $dkms_x"; return 1; }
  done
}

dkms_register() {
  if [ "$dkms_top/source" -ef "$dkms_src" ]; then return 0; fi
  if [ -d "$dkms_top" ]; then ln -sfn "$dkms_src" "$dkms_top/source"
  else dkms add -m "$dkms_n" -v "$dkms_v" </dev/null || :; fi
  [ "$dkms_top/source" -ef "$dkms_src" ] || { echo "dkms did not register $dkms_n $dkms_v" >&2; return 1; }
}

# The path of a module's file in a folder, whatever it is compressed with; empty where it has none.
dkms_file() {
  for dkms_f in "$1/$2.ko" "$1/$2.ko.xz" "$1/$2.ko.gz" "$1/$2.ko.zst"; do
    if [ -f "$dkms_f" ]; then printf '%s\\n' "$dkms_f"; return 0; fi
  done
}
dkms_sum() { sha256sum < "$1" | cut -c1-64; }

# Made by us, from just this source, and as it was then?
dkms_built() {
  dkms_r=$dkms_proofs/$dkms_k
  [ -f "$dkms_r" ] && grep -qx "source $dkms_sha" "$dkms_r" || return 1
  for dkms_m in $dkms_modules; do
    dkms_f=$(dkms_file "$dkms_dir/module" "\${dkms_m#*:}")
    [ -n "$dkms_f" ] && grep -qx "built $(dkms_sum "$dkms_f") \${dkms_f##*/}" "$dkms_r" || return 1
  done
}

# Every copy that depmod could find is the file in the tree, one is there, and dkms knows of it.
dkms_installed() {
  [ "$dkms_tree/$dkms_n/kernel-$dkms_k-$dkms_arch" -ef "$dkms_dir" ] || { dkms_why='dkms does not know it as installed'; return 1; }
  for dkms_m in $dkms_modules; do
    dkms_m=\${dkms_m#*:}
    dkms_f=$(dkms_file "$dkms_dir/module" "$dkms_m")
    [ -s "$dkms_f" ] || { dkms_why="$dkms_m.ko is not in $dkms_dir/module"; return 1; }
    dkms_x=$(dkms_sum "$dkms_f") dkms_found=0
    for dkms_d in ${INSTALL_DIRS.join(' ')}; do
      dkms_f=$(dkms_file "/lib/modules/$dkms_k/$dkms_d" "$dkms_m")
      [ -n "$dkms_f" ] || continue
      dkms_found=1
      [ "$(dkms_sum "$dkms_f")" = "$dkms_x" ] || { dkms_why="$dkms_f is not what was built"; return 1; }
    done
    [ "$dkms_found" = 1 ] || { dkms_why="no $dkms_m.ko below /lib/modules/$dkms_k"; return 1; }
  done
}

# kmod finds it by name, and it is made for this kernel.
dkms_usable() {
  for dkms_m in $dkms_modules; do
    dkms_m=\${dkms_m#*:}
    dkms_f=$(modinfo -k "$dkms_k" -F filename "$dkms_m" 2>/dev/null) || dkms_f=
    if [ -z "$dkms_f" ]; then
      depmod "$dkms_k" || :
      dkms_f=$(modinfo -k "$dkms_k" -F filename "$dkms_m" 2>/dev/null) || { dkms_why="depmod does not find $dkms_m for $dkms_k"; return 1; }
    fi
    dkms_x=$(modinfo -F vermagic "$dkms_f" 2>/dev/null) || { dkms_why="$dkms_f is no module"; return 1; }
    [ "\${dkms_x%% *}" = "$dkms_k" ] || { dkms_why="$dkms_f is made for \${dkms_x%% *}"; return 1; }
  done
}

# Runs dkms ACTION for the kernel, with the compiler's output live.
dkms_run() {
  rm -f "$dkms_top/build/make.log"
  dkms_t=
  if [ "$dkms_by" = job ]; then
    tail -q -n +1 -s 0.3 --pid=$$ -F "$dkms_top/build/make.log" 2>/dev/null 8>&- & dkms_t=$!
  fi
  dkms_c=0
  timeout -k 10 1500 dkms "$@" -m "$dkms_n" -v "$dkms_v" -k "$dkms_k" -a "$dkms_arch" </dev/null || dkms_c=$?
  if [ -n "$dkms_t" ]; then kill "$dkms_t" 2>/dev/null || :; wait "$dkms_t" 2>/dev/null || :; fi
  return "$dkms_c"
}

# The lines that tell what is wrong first, then the end of the log.
dkms_tail() {
  for dkms_f in "$dkms_top/build/make.log" "$dkms_dir/log/make.log"; do
    [ -f "$dkms_f" ] || continue
    { grep -E '(error|fatal|ERROR|undefined)[^a-z]*:|Error [0-9]+$|undefined!' "$dkms_f" | head -n 8; echo '...'; tail -n 20 "$dkms_f"; } | cut -c1-400
    return 0
  done
}

# Notes how a build ended: rc, why. And what it made, for the judgement of later runs.
dkms_record() {
  {
    printf 'rc %s\\nversion %s\\nby %s\\nat %s\\n' "$1" "$dkms_v" "$dkms_by" "$(date -u +%Y-%m-%dT%H:%M:%SZ)"
    [ -z "$2" ] || printf 'why %s\\n' "$2"
    [ "$1" = 0 ] || dkms_tail | sed 's/^/log /'
  } | dkms_note "$dkms_records"
}
dkms_prove() {
  {
    printf 'source %s\\n' "$dkms_sha"
    for dkms_m in $dkms_modules; do
      dkms_f=$(dkms_file "$dkms_dir/module" "\${dkms_m#*:}")
      printf 'built %s %s\\n' "$(dkms_sum "$dkms_f")" "\${dkms_f##*/}"
    done
  } | dkms_note "$dkms_proofs"
}
# Standard input becomes DIR/KERNEL, by rename: a reader sees the old one or all of the new one.
dkms_note() {
  mkdir -p -m 0700 /var/lib/blkfleet && mkdir -p "$1" && cat > "$1/.$dkms_k.new" && sync "$1/.$dkms_k.new" && mv -f "$1/.$dkms_k.new" "$1/$dkms_k"
}

dkms_make() {
  if [ -e "$dkms_dir" ]; then
    echo "removing what stands in $dkms_dir: it is not known to come from this source"
    rm -rf "$dkms_dir"
  fi
  rm -f "$dkms_proofs/$dkms_k"
  # A job that is cut off now leaves this word.
  dkms_record 255 'the build was cut off' || return 28
  dkms_c=0
  dkms_run build || dkms_c=$?
  for dkms_m in $dkms_modules; do
    dkms_f=$(dkms_file "$dkms_dir/module" "\${dkms_m#*:}")
    [ -s "$dkms_f" ] && continue
    dkms_why="dkms build ended with $dkms_c"
    [ "$dkms_c" != 0 ] || dkms_why="$dkms_why, but made no \${dkms_m#*:}.ko"
    dkms_x=$(dkms_tail | grep -m 1 -E 'error|fatal|ERROR|undefined' | cut -c1-200) || dkms_x=
    [ -z "$dkms_x" ] || dkms_why="$dkms_why: $dkms_x"
    [ "$dkms_c" != 0 ] || dkms_c=7
    return "$dkms_c"
  done
  if [ "$dkms_c" != 0 ]; then dkms_why="dkms build ended with $dkms_c"; return "$dkms_c"; fi
  dkms_prove || { dkms_why='what was built could not be noted: is the disk full?'; return 28; }
}

# Puts the modules below /lib/modules. dkms takes a link for a file, so a wrong one goes first; what was there comes
# back where it fails.
dkms_put() {
  dkms_link=$dkms_tree/$dkms_n/kernel-$dkms_k-$dkms_arch
  dkms_old=$(readlink "$dkms_link") || dkms_old=
  dkms_save=$(mktemp -d "$dkms_tree/.blkfleet-XXXXXXXX") || return 28
  for dkms_d in ${INSTALL_DIRS.join(' ')}; do
    for dkms_m in $dkms_modules; do
      dkms_f=$(dkms_file "/lib/modules/$dkms_k/$dkms_d" "\${dkms_m#*:}")
      [ -n "$dkms_f" ] || continue
      mkdir -p "$dkms_save/$dkms_d" && cp -p "$dkms_f" "$dkms_save/$dkms_d/" || { rm -rf "$dkms_save"; dkms_why='no space to keep the old module'; return 28; }
    done
  done
  rm -f "$dkms_link"
  dkms_c=0
  dkms_run install --force || dkms_c=$?
  dkms_stale
  if dkms_installed && dkms_usable; then rm -rf "$dkms_save"; return 0; fi
  dkms_why="dkms install ended with $dkms_c, yet $dkms_why"
  for dkms_d in ${INSTALL_DIRS.join(' ')}; do
    for dkms_m in $dkms_modules; do
      dkms_f=$(dkms_file "/lib/modules/$dkms_k/$dkms_d" "\${dkms_m#*:}")
      [ -z "$dkms_f" ] || rm -f "$dkms_f"
    done
    if [ -d "$dkms_save/$dkms_d" ]; then cp -p "$dkms_save/$dkms_d"/*.ko* "/lib/modules/$dkms_k/$dkms_d/" || :; fi
  done
  rm -f "$dkms_link"
  if [ -n "$dkms_old" ] && [ -d "$dkms_tree/$dkms_n/$dkms_old" ] && [ "$dkms_old" != "$dkms_v/$dkms_k/$dkms_arch" ]; then ln -s "$dkms_old" "$dkms_link"; fi
  depmod "$dkms_k" || :
  rm -rf "$dkms_save"
  [ "$dkms_c" != 0 ] || dkms_c=6
  return "$dkms_c"
}

# Copies in another folder, or with another compression, than where dkms has just put it would shadow it.
dkms_stale() {
  for dkms_m in $dkms_modules; do
    dkms_m=\${dkms_m#*:}
    dkms_f=$(dkms_file "$dkms_dir/module" "$dkms_m")
    [ -n "$dkms_f" ] || continue
    dkms_x=$(dkms_sum "$dkms_f") dkms_y=\${dkms_f##*/}
    for dkms_d in ${INSTALL_DIRS.join(' ')}; do
      for dkms_f in "/lib/modules/$dkms_k/$dkms_d/$dkms_m".ko*; do
        [ -f "$dkms_f" ] || continue
        if [ "\${dkms_f##*/}" = "$dkms_y" ] && [ "$(dkms_sum "$dkms_f")" = "$dkms_x" ]; then continue; fi
        echo "removing $dkms_f: another $dkms_m"
        rm -f "$dkms_f"
        depmod "$dkms_k" || :
      done
    done
  done
}

# Builds and installs for kernel $1, does nothing where all is right, and records how it ended.
dkms_kernel() {
  dkms_k=$1 dkms_dir=$dkms_top/$1/$dkms_arch dkms_why= dkms_rc=0
  dkms_try || dkms_rc=$?
  dkms_record "$dkms_rc" "$dkms_why" || echo "the result could not be recorded" >&2
  return "$dkms_rc"
}
dkms_try() {
  if [ ! -e "/lib/modules/$dkms_k/build/Makefile" ]; then dkms_why='no headers'; return 21; fi
  if [ ! -d "$dkms_src" ] || [ "$(dkms_manifest_sha "$dkms_src")" != "$dkms_sha" ]; then dkms_why="$dkms_src is not the source that was pushed"; return 3; fi
  dkms_space || return 28
  dkms_built || dkms_make || return $?
  if dkms_installed && dkms_usable; then return 0; fi
  dkms_why=
  dkms_put
}
`;
