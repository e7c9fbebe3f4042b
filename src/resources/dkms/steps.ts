import { shellQuote, shellWords } from '../../lib/shell.ts';
import type { Input, PlanContext, Step } from '../kind.ts';
import { buildFunctions } from './build-script.ts';
import { type HookFile, hookFiles } from './hooks.ts';
import { type DkmsPackage, packageOf } from './package.ts';
import { FOLDERS, manifestFunction, PROOFS, SOURCES } from './paths.ts';
import { type Work, workOf } from './plan.ts';
import { absentStep } from './remove.ts';
import type { DkmsDesired } from './schema.ts';
import type { DkmsState } from './state.ts';

const buildSeconds = 1800;
const lockSeconds = 1200;

/**
 * Source, registration, hooks, then a build a kernel; old versions go last, when the new one is in. With several kernels
 * a build that fails does not keep the others from theirs: the step after them fails for all.
 */
export function dkmsSteps(input: Input<DkmsDesired>, state: DkmsState, { facts }: PlanContext): Step[] {
  if (input.desired.state === 'absent') return [absentStep(input)];
  const found = packageOf(input)!;
  const work = workOf(input, state, facts);
  const { name, version } = found.conf;
  const prelude = preludeOf(found, facts.kernel.arch);
  const steps: Step[] = [];
  if (work.pushSource) steps.push(pushStep(found));
  if (work.register)
    steps.push({
      title: `register ${name} ${version} with dkms`,
      script: `${prelude}dkms_lock ${lockSeconds}\ndkms_register\n`,
      deadline: lockSeconds + 60,
    });
  if (work.hooks) steps.push(hooksStep(hookFiles(found)));
  const releases = work.pending.map((kernel) => kernel.release);
  for (const release of releases)
    steps.push(
      buildStep(
        prelude,
        `${name} ${version}`,
        release,
        release === facts.kernel.release,
        releases.length > 1,
      ),
    );
  if (releases.length > 1) steps.push(verdictStep(prelude, `${name} ${version}`, releases));
  if (work.remove.length > 0) steps.push(removeOldStep(prelude, work));
  return steps;
}

function preludeOf({ conf, sha256 }: DkmsPackage, arch: string): string {
  const modules = conf.modules.map(({ built, installed }) => `${built}:${installed}`).join(' ');
  return `umask 022
dkms_by=job dkms_arch=${shellQuote(arch)}
dkms_n=${shellQuote(conf.name)} dkms_v=${shellQuote(conf.version)} dkms_sha=${sha256} dkms_modules=${shellQuote(modules)}
${buildFunctions}dkms_use
`;
}

/** The archive's sha256 was checked on arrival; what came out of it is checked again, before dkms runs its dkms.conf. */
function pushStep({ conf, sha256, archive }: DkmsPackage): Step {
  const folder = shellQuote(`${SOURCES}/${conf.name}-${conf.version}`);
  const same = `[ ! -L ${folder} ] && [ "$(dkms_manifest_sha ${folder})" = ${sha256} ]`;
  const script = `umask 022
${manifestFunction}if [ -e ${folder} ] && ${same}; then exit 0; fi
rm -rf ${SOURCES}/.blkfleet-*
dkms_t=$(mktemp -d ${SOURCES}/.blkfleet-XXXXXXXX)
trap 'rm -rf "$dkms_t"' EXIT
tar -xpf "$BF_PAYLOAD/${archive.sha256}" -C "$dkms_t" --same-owner --numeric-owner
chown 0:0 "$dkms_t"
chmod 00755 "$dkms_t"
[ "$(dkms_manifest_sha "$dkms_t")" = ${sha256} ] || { echo 'what was unpacked is not what was sent: is the disk full?' >&2; exit 1; }
sync -f "$dkms_t"
mv -T "$dkms_t" ${folder}
`;
  return {
    title: `push the source of ${conf.name} ${conf.version}`,
    script,
    guard: `${manifestFunction}[ ! -e ${folder} ] || { ${same}; } || { echo ${folder}' has changed' >&2; exit 1; }\n`,
    payloads: [archive],
    deadline: 120,
  };
}

function hooksStep(files: readonly HookFile[]): Step {
  const script = files
    .map(({ path, mode, sha256 }) => {
      const folder = path.replace(/\/[^/]*$/, '');
      return `dkms_folder ${shellQuote(folder)}
dkms_put ${shellWords([path, mode.toString(8), sha256])}
`;
    })
    .join('');
  // run-parts takes no name with a dot, so a half-written one is never run.
  const functions = `umask 022
dkms_put() {
  cp "$BF_PAYLOAD/$3" "$1.blkfleet-new" && chmod "$2" "$1.blkfleet-new" && sync "$1.blkfleet-new" && mv -fT "$1.blkfleet-new" "$1"
}
dkms_folder() {
  if [ -d "$1" ]; then return 0; fi
  mkdir -p "$1"
  case $1 in /etc/*) printf '%s\\n' "$1" >> ${FOLDERS};; esac
}
mkdir -p -m 0700 /var/lib/blkfleet
`;
  return {
    title: 'put the kernel hooks in place',
    script: functions + script,
    payloads: files.map(({ sha256, bytes }) => ({ sha256, bytes })),
    deadline: 60,
  };
}

function buildStep(prelude: string, what: string, release: string, running: boolean, several: boolean): Step {
  const kernel = shellQuote(release);
  const script = `${prelude}dkms_lock ${lockSeconds}
dkms_end=0
dkms_kernel ${kernel} || dkms_end=$?
if [ "$dkms_end" = 0 ]; then echo ${shellQuote(`${what} is installed for ${release}`)}; exit 0; fi
if [ "$dkms_end" = 21 ] && [ ${running ? 1 : 0} = 0 ]; then echo ${shellQuote(`warning: ${release} has no headers, nothing is built for it`)}; exit 0; fi
sed -n 's/^log //p' "$dkms_records/"${kernel} >&2 || :
printf '%s\\n' ${shellQuote(`${what} is NOT installed for ${release}`)}": $dkms_why (rc $dkms_end)" >&2
${several ? 'echo "the other kernels go on; this task fails at its end"' : 'exit 1'}
`;
  return { title: `build and install ${what} for ${release}`, script, deadline: buildSeconds + lockSeconds };
}

/** Fails where a build failed, with what each of them said. */
function verdictStep(prelude: string, what: string, releases: readonly string[]): Step {
  const script = `${prelude}dkms_bad=
for dkms_k in ${shellWords(releases)}; do
  dkms_dir=$dkms_top/$dkms_k/$dkms_arch
  if dkms_built && dkms_installed; then continue; fi
  dkms_r=$dkms_records/$dkms_k
  if [ ! -f "$dkms_r" ]; then dkms_bad="$dkms_bad $dkms_k"; continue; fi
  if grep -qx 'rc 21' "$dkms_r" && [ "$dkms_k" != "$(uname -r)" ]; then continue; fi
  dkms_bad="$dkms_bad $dkms_k"
  echo "--- $dkms_k:" >&2
  sed -n 's/^log //p; s/^why //p' "$dkms_r" | tail -n 12 >&2
done
[ -z "$dkms_bad" ] || { echo ${shellQuote(`${what} is not installed for:`)}"$dkms_bad" >&2; exit 1; }
`;
  return { title: `check ${what} on every kernel`, script, deadline: 120 };
}

/** Only when the new version is in for every kernel that it is for. */
function removeOldStep(prelude: string, work: Work): Step {
  const targets = work.kernels.filter((kernel) => kernel.role === 'target').map((kernel) => kernel.release);
  const check = `for dkms_k in ${shellWords(targets)}; do
  [ -e "/lib/modules/$dkms_k/build/Makefile" ] || continue
  dkms_dir=$dkms_top/$dkms_k/$dkms_arch dkms_why=
  if dkms_built && dkms_installed; then continue; fi
  echo "$dkms_k does not have $dkms_n $dkms_v\${dkms_why:+: $dkms_why}" >&2; exit 1
done
`;
  const script = `${prelude}dkms_lock ${lockSeconds}
${check}for dkms_o in ${shellWords(work.remove)}; do
  if [ -e "$dkms_tree/$dkms_n/$dkms_o/source/dkms.conf" ]; then
    dkms remove -m "$dkms_n" -v "$dkms_o" --all </dev/null || :
  fi
  for dkms_f in "$dkms_tree/$dkms_n"/kernel-*; do
    [ -L "$dkms_f" ] || continue
    case $(readlink "$dkms_f") in "$dkms_o"/*) rm -f "$dkms_f";; esac
  done
  rm -rf "$dkms_tree/$dkms_n/$dkms_o" "${SOURCES}/$dkms_n-$dkms_o" "${PROOFS}/$dkms_n/$dkms_o"
done
${check}`;
  return { title: `remove ${work.name} ${work.remove.join(', ')}`, script, deadline: lockSeconds + 300 };
}
