import { shellQuote, shellWords } from '../../lib/shell.ts';
import type { Step } from '../kind.ts';
import { removalScript } from './apt-probe.ts';
import type { PackageRequest, PackageState } from './manager.ts';

const lockSeconds = 120;
const deadline = 1800;

const statusFunction = `package_status() { dpkg-query -W -f '\${db:Status-Status}\\n' "$1" 2>/dev/null || :; }
`;

// Nothing here may wait for an answer: debconf, a changed configuration file, needrestart, a list of changes. What an
// operator changed in a configuration file stays.
const prelude = `export DEBIAN_FRONTEND=noninteractive DEBCONF_NONINTERACTIVE_SEEN=true UCF_FORCE_CONFFOLD=1
export NEEDRESTART_SUSPEND=1 NEEDRESTART_MODE=l APT_LISTCHANGES_FRONTEND=none
package_apt() {
  apt-get -q -y -o DPkg::Lock::Timeout=${lockSeconds} -o Dpkg::Use-Pty=0 \\
    -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold \\
    -o APT::Get::AutomaticRemove=false "$@"
}
package_update() {
  for package_try in 1 2 3; do
    package_apt update && return 0
    echo "the lists of packages could not be brought up to date (try $package_try of 3)" >&2
    [ "$package_try" = 3 ] || sleep 5
  done
  return 1
}
${statusFunction}package_candidate() { apt-cache policy "$1" | sed -n 's/^  Candidate: //p'; }
`;

/**
 * Installs what is missing. The lists are brought up to date only where they have no candidate, or where a download
 * fails since they are old. Each name is looked up exactly first: apt takes an unknown one for a pattern. apt's exit
 * status is not trusted: dpkg is asked at the end.
 */
export function installStep(names: readonly string[], request: PackageRequest, state: PackageState): Step {
  const words = shellWords(names);
  const options = `--no-remove ${request.recommends ? '--install-recommends' : '--no-install-recommends'}`;
  const script = `${prelude}package_fresh=0
package_stale=${state.listsEmpty ? 1 : 0}
for package_n in ${words}; do
  case $(package_candidate "$package_n") in ''|'(none)') package_stale=1;; esac
done
if [ "$package_stale" = 1 ]; then package_update || :; package_fresh=1; fi
package_unknown=
for package_n in ${words}; do
  case $(package_candidate "$package_n") in ''|'(none)') package_unknown="$package_unknown $package_n";; esac
done
if [ -n "$package_unknown" ]; then
  echo "apt knows no package of these names in its sources:$package_unknown" >&2
  for package_n in $package_unknown; do
    apt-cache showpkg "$package_n" 2>/dev/null |
      sed -n '/^Reverse Provides:/,$ { /^Reverse/d; s/^\\([^ ]*\\) .*/  it is virtual, and provided by \\1/p; }' | sort -u | head -n 8 >&2
  done
  exit 1
fi
if ! package_apt ${options} --download-only install ${words} && [ "$package_fresh" = 0 ]; then
  echo 'the download failed: bringing the lists up to date' >&2
  package_update || :
fi
package_apt ${options} install ${words}
package_bad=
for package_n in ${words}; do
  case " $(package_status "$package_n" | tr '\\n' ' ') " in
    *' installed '*|*' triggers-'*) ;;
    *) package_bad="$package_bad $package_n";;
  esac
done
[ -z "$package_bad" ] || { echo "dpkg does not have these as installed:$package_bad" >&2; exit 1; }
`;
  return { title: `install ${names.join(', ')}`, script, deadline };
}

/**
 * Removes what is there. The guard makes sure that no package goes along which the plan did not show.
 * @param removed all that the plan showed as going
 */
export function removeStep(names: readonly string[], removed: readonly string[]): Step {
  const planned = [...names, ...names.map((name) => name.replace(/:.*/, '')), ...removed];
  const there = `package_there=
for package_n in ${shellWords(names)}; do
  case "$(package_status "$package_n")" in ''|not-installed|config-files) ;; *) package_there="$package_there $package_n";; esac
done
`;
  const guard = `${statusFunction}${there}[ -n "$package_there" ] || exit 0
package_going=$(${removalScript('$package_there')})
[ -n "$package_going" ] || { echo "apt can not tell what goes along with$package_there" >&2; exit 1; }
for package_n in $package_going; do
  case ${shellQuote(` ${planned.join(' ')} `)} in
    *" $package_n "*) ;;
    *) echo "removing$package_there would also take away $package_n" >&2; exit 1;;
  esac
done
`;
  const script = `${prelude}${there}[ -n "$package_there" ] || exit 0
package_apt remove $package_there
package_bad=
for package_n in $package_there; do
  case "$(package_status "$package_n")" in ''|not-installed|config-files) ;; *) package_bad="$package_bad $package_n";; esac
done
[ -z "$package_bad" ] || { echo "dpkg still has:$package_bad" >&2; exit 1; }
`;
  return { title: `remove ${names.join(', ')}`, script, guard, deadline };
}
