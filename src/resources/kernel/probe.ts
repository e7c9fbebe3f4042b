import { FleetError } from '../../lib/errors.ts';
import type { Input } from '../kind.ts';
import type { KernelDesired } from './schema.ts';

/** What the facts do not tell: whether apt can deliver the headers that are missing. */
export interface KernelState {
  /** releases with /lib/modules but without headers: true when apt has a candidate, false when not, by its lists now */
  candidates: ReadonlyMap<string, boolean>;
  /** apt has lists at all; without, nothing is known */
  lists: boolean;
}

/** Costs no fork where no headers are missing, as on any later run. */
export function probeKernels(inputs: readonly Input<KernelDesired>[]): string {
  const ask = inputs.some(({ desired }) => desired.headers !== 'none') ? askApt : 'kernel_answer=\n';
  const frames = inputs.map((_, i) => `bf_f ${i} "$kernel_answer"\n`);
  return ask + frames.join('');
}

const askApt = `kernel_names= kernel_answer=
for kernel_d in /lib/modules/* /boot/vmlinuz-*; do
  kernel_k=\${kernel_d##*/}; kernel_k=\${kernel_k#vmlinuz-}
  [ -e "$kernel_d" ] && [ ! -e "/lib/modules/$kernel_k/build/Makefile" ] || continue
  case $kernel_k in ''|[!A-Za-z0-9]*|*[!A-Za-z0-9._+~-]*) continue;; esac
  case " $kernel_names " in *" linux-headers-$kernel_k "*) ;; *) kernel_names="$kernel_names linux-headers-$kernel_k";; esac
done
if [ -n "$kernel_names" ] && command -v apt-cache >/dev/null 2>&1; then
  kernel_answer=$(for kernel_f in /var/lib/apt/lists/*Packages*; do [ -e "$kernel_f" ] && { echo lists; break; }; done
    apt-cache policy $kernel_names 2>/dev/null | head -c 262144 |
      sed -n 's/^linux-headers-\\(.*\\):$/name \\1/p; s/^  Candidate: /candidate /p')
fi
`;

/** @throws FleetError E_PROBE when the answer is beyond any sense */
export function parseKernel(output: Buffer): KernelState {
  if (output.length > 262_144) {
    throw new FleetError({ code: 'E_PROBE', message: 'the answer about kernel headers is too long' });
  }
  const candidates = new Map<string, boolean>();
  let name: string | undefined;
  let lists = false;
  for (const line of output.toString('latin1').split('\n')) {
    const [key, value = ''] = line.split(' ', 2);
    if (key === 'lists') lists = true;
    else if (key === 'name') name = value;
    else if (key === 'candidate' && name !== undefined) {
      candidates.set(name, value !== '' && value !== '(none)');
      name = undefined;
    }
  }
  // apt-cache prints nothing at all for a name that no list holds.
  return { candidates, lists };
}
