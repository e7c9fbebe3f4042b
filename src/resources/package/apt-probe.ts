import { shellWords } from '../../lib/shell.ts';
import type { PackageRequest, PackageState, PackageStatus } from './manager.ts';

/** Names whose candidate is asked for; the rest show as `present`. */
const maxCandidates = 100;
const maxLines = 5000;

/** Keeps apt from writing its caches while it only looks. */
export const aptReadOnly = '-o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= -o Debug::NoLocking=1';

/**
 * Prints the names that `apt-get remove` would take away, one a line.
 * @param words sh text: names of installed packages. One that apt does not know makes it answer nothing at all.
 */
export function removalScript(words: string): string {
  return `apt-get -s -q ${aptReadOnly} -o APT::Get::AutomaticRemove=false remove ${words} 2>/dev/null | sed -n 's/^\\(Remv\\|Purg\\) \\([^ ]*\\).*/\\2/p'`;
}

// dpkg-query's answer by one awk over dpkg's status (dpkg(1), FILES), at half the CPU; where dpkg has a journal of updates
// that are not in it yet, dpkg-query is asked.
const statusScript = `package_query() {
  package_d=\${DPKG_ADMINDIR:-/var/lib/dpkg}
  for package_l in "$package_d"/updates/*; do
    if [ -e "$package_l" ] || [ ! -r "$package_d/status" ]; then
      exec dpkg-query -W -f 'pkg \${Package} \${Architecture} \${db:Status-Status} \${Version}\\n' "$@"
    fi
  done
  package_set=
  for package_l; do package_set="$package_set \${package_l%%:*}"; done
  exec awk -v "set=$package_set " '
  function tell() { if (wanted && state != "") print "pkg", name, arch, state, version; wanted = 0; arch = state = version = "" }
  /^Package: / { tell(); name = $2; wanted = index(set, " " name " "); next }
  !wanted { next }
  /^Status: / { state = $4; next }
  /^Architecture: / { arch = $2; next }
  /^Version: / { version = $2 }
  END { tell() }' "$package_d/status"
}
`;

/**
 * One look at dpkg's status for all names. Where something is missing one `apt-cache policy`, and for packages to remove
 * that are there a simulation; in sync neither runs. dpkg itself is asked too: its architecture is the host's.
 */
export function probeApt(requests: readonly PackageRequest[]): string {
  const all = [...new Set(requests.flatMap((request) => request.names))];
  const wanted = [...new Set(requests.filter((r) => r.present).flatMap((r) => r.names))];
  // Lines are picked by shell built-ins: a fork for each declaration would cost more than all of dpkg-query.
  let script = `${statusScript}package_nl='
'
package_pick() {
  package_set=" $2 "; package_ifs=$IFS; IFS=$package_nl; set -f
  for package_l in $1; do
    package_n=\${package_l#* }; package_n=\${package_n%% *}
    case $package_set in *" $package_n "*|*" $package_n:"*) package_o="$package_o$package_l$package_nl";; esac
  done
  IFS=$package_ifs; set +f
}
package_s=$(package_query dpkg ${shellWords(all)} 2>/dev/null)
package_c= package_m= package_i=' '
package_ifs=$IFS; IFS=$package_nl
for package_l in $package_s; do
  case $package_l in *' installed '*) package_n=\${package_l#* }; package_i="$package_i\${package_n%% *} ";; esac
done
IFS=$package_ifs
`;
  if (wanted.length > 0) {
    script += `package_k=${maxCandidates}
for package_n in ${shellWords(wanted)}; do
  case $package_i in *" $package_n "*) continue;; esac
  [ "$package_k" -gt 0 ] || break
  package_k=$((package_k - 1)); package_m="$package_m $package_n"
done
if [ -n "$package_m" ]; then
  package_c=$(apt-cache ${aptReadOnly} policy $package_m 2>/dev/null | sed -n 's/^\\([^ ].*\\):$/\\1/;t keep
s/^  Candidate: /= /p;d
:keep
p')
fi
package_lists=empty
for package_l in /var/lib/apt/lists/*_Packages*; do [ -e "$package_l" ] && package_lists=there; break; done
`;
  }
  requests.forEach((request, index) => {
    script += `package_o=; package_pick "$package_s" ${shellWords([`dpkg ${request.names.join(' ')}`])}\n`;
    if (request.present) {
      script += `package_o="\${package_o}lists $package_lists"
[ -z "$package_m" ] || package_o="$package_o\${package_nl}asked$package_m$package_nl$package_c"
bf_f ${index} "$package_o"
`;
    } else {
      script += `package_r=
for package_n in ${shellWords(request.names)}; do
  case $package_i in *" \${package_n%%:*} "*) package_r="$package_r $package_n";; esac
done
if [ -n "$package_r" ]; then bf_b ${index}; printf '%sremoves\\n' "$package_o"; ${removalScript('$package_r')}; bf_e ${index} 0
else bf_f ${index} "$package_o"; fi
`;
    }
  });
  return script;
}

const line = /^pkg ([a-z0-9][a-z0-9+.-]*) ([a-z0-9-]*) ([a-z-]+) ?([A-Za-z0-9.+:~-]*)$/;

/** Reads what the fragment printed for one request; lines that make no sense are left out. */
export function parseApt(output: Buffer, request: PackageRequest): PackageState {
  const found: { name: string; arch: string; status: string; version: string }[] = [];
  const candidates = new Map<string, string | null>();
  const removed: string[] = [];
  let listsEmpty = false;
  let section: 'packages' | 'asked' | 'removes' = 'packages';
  let asked = new Set<string>();
  let heading: string | undefined;
  for (const text of output.toString('latin1').split('\n').slice(0, maxLines)) {
    if (text === 'removes') section = text;
    else if (text === 'asked' || text.startsWith('asked ')) {
      section = 'asked';
      asked = new Set(text.split(' ').slice(1));
    } else if (text.startsWith('lists ')) listsEmpty = text === 'lists empty';
    else if (section === 'packages') {
      const match = line.exec(text);
      if (match) found.push({ name: match[1]!, arch: match[2]!, status: match[3]!, version: match[4]! });
    } else if (section === 'removes') {
      if (/^[a-z0-9][a-z0-9+.:-]*$/.test(text)) removed.push(text);
    } else if (text.startsWith('= ')) {
      const version = text.slice(2);
      if (heading !== undefined)
        candidates.set(heading, /^[A-Za-z0-9.+:~-]+$/.test(version) ? version : null);
    } else if (text !== '') heading = text;
  }
  const native = found.find((entry) => entry.name === 'dpkg')?.arch;
  const packages = new Map<string, { status: PackageStatus; version: string | null }>();
  for (const name of request.names) {
    const [bare, arch = native] = name.split(':');
    const entry = found.find((item) => item.name === bare && (item.arch === arch || item.arch === 'all'));
    packages.set(name, { status: statusOf(entry?.status), version: entry?.version || null });
  }
  const known = new Map<string, string | null>();
  for (const name of request.names) {
    if (!asked.has(name)) continue;
    known.set(name, candidates.get(name) ?? candidates.get(name.replace(`:${native}`, '')) ?? null);
  }
  // apt leaves out the host's own architecture.
  const asDeclared = (name: string) =>
    request.names.includes(`${name}:${native}`) ? `${name}:${native}` : name;
  return {
    answered: native !== undefined,
    packages,
    candidates: known,
    listsEmpty,
    removed: removed.map(asDeclared),
  };
}

/** The states of dpkg(1); what is left of a removed package is only its configuration. */
function statusOf(status: string | undefined): PackageStatus {
  if (status === undefined || status === 'not-installed' || status === 'config-files') return 'absent';
  return status === 'installed' || status === 'triggers-pending' || status === 'triggers-awaited'
    ? 'installed'
    : 'broken';
}
