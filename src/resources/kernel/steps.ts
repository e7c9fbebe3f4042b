import { shellQuote } from '../../lib/shell.ts';
import type { Input, PlanContext, Step } from '../kind.ts';
import { headersWanted } from './plan.ts';
import type { KernelState } from './probe.ts';
import type { KernelDesired } from './schema.ts';

const lockSeconds = 120;

/**
 * One step a kernel. apt's status is not trusted: the headers must be there after. Headers of a kernel that does not
 * run may be gone from the sources: that is said, and is no failure, as that kernel may never boot again. Those of the
 * running kernel are.
 */
export function kernelSteps(
  { desired }: Input<KernelDesired>,
  current: KernelState,
  { facts }: PlanContext,
): Step[] {
  return headersWanted(desired, current, facts).wanted.map((release) => ({
    title: `install linux-headers-${release}`,
    script: installScript(release, release === facts.kernel.release, current.lists),
    deadline: 1800,
  }));
}

function installScript(release: string, running: boolean, lists: boolean): string {
  return `export DEBIAN_FRONTEND=noninteractive DEBCONF_NONINTERACTIVE_SEEN=true UCF_FORCE_CONFFOLD=1
export NEEDRESTART_SUSPEND=1 NEEDRESTART_MODE=l APT_LISTCHANGES_FRONTEND=none
kernel_release=${shellQuote(release)}
kernel_there() { [ -e "/lib/modules/$kernel_release/build/Makefile" ]; }
kernel_candidate() { apt-cache policy "linux-headers-$kernel_release" | sed -n 's/^  Candidate: //p'; }
kernel_apt() {
  apt-get -q -y -o DPkg::Lock::Timeout=${lockSeconds} -o Dpkg::Use-Pty=0 -o APT::Get::AutomaticRemove=false \\
    -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold "$@"
}
kernel_install() { kernel_apt --no-remove --no-install-recommends install "linux-headers-$kernel_release"; }
if kernel_there; then exit 0; fi
kernel_fresh=0
case $(kernel_candidate) in
  ''|'(none)') kernel_apt update || :; kernel_fresh=1;;
esac
case $(kernel_candidate) in
  ''|'(none)')
    echo "no source of apt on this host has linux-headers-$kernel_release${lists ? '' : ', or they can not be reached'}" >&2
    ${running ? 'echo "boot a kernel whose headers are to be had" >&2; exit 1' : 'echo "warning: no module can be built for that kernel" >&2; exit 0'};;
esac
# Old lists name versions that the mirror has dropped: bring them up to date and try once more.
if ! kernel_install; then
  [ "$kernel_fresh" = 0 ] || exit 1
  kernel_apt update || :
  kernel_install
fi
kernel_there || { echo "linux-headers-$kernel_release is installed, but /lib/modules/$kernel_release/build has no Makefile" >&2; exit 1; }
`;
}
