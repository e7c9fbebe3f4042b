/** A kernel line that the module supports, and the Debian suite that ships its newest version. */
export interface KernelLine {
  /** Start of the release; the rest is looked up. */
  line: string;
  suite: string;
  /** Packages that building with W=1 needs beside compiler and make: 6.12 reads the comments with a perl program. */
  tools?: readonly string[];
  /** Kernel parameters with which this line makes bugs visible. */
  debug: readonly string[];
}

// Freed memory is poisoned and checked, redzones lie around every object; from 6.12 on Debian has KFENCE, which catches
// what happens between the checks. None of them needs a kernel of our own.
const slub = ['slub_debug=FZPU', 'page_poison=1'];
const kfence = ['kfence.sample_interval=1'];

export const kernelLines: readonly KernelLine[] = [
  { line: '5.10', suite: 'bullseye', debug: slub },
  { line: '6.1', suite: 'bookworm', debug: slub },
  { line: '6.12', suite: 'trixie', tools: ['perl'], debug: [...slub, ...kfence] },
  { line: '7', suite: 'trixie-backports', debug: [...slub, ...kfence] },
];

/** The flavour tried: what Debian installs on hardware, with the debugging that the cloud flavour lacks. */
export const flavour = 'amd64';
