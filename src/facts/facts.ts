/** A kernel that is installed on the host, running or not. */
export interface InstalledKernel {
  /** as in uname -r, e.g. 6.1.0-41-cloud-amd64 */
  release: string;
  /** /lib/modules/RELEASE/build has a Makefile: modules can be built for it */
  headers: boolean;
  /** /boot/vmlinuz-RELEASE exists */
  image: boolean;
}

/** What every host answers beside its resources. All strings come from the host: data, never code. */
export interface HostFacts {
  hostname: string;
  /** uid of the session's shell: 0 when root or by sudo */
  uid: number;
  kernel: {
    /** uname -r */
    release: string;
    /** uname -v */
    version: string;
    /** uname -m */
    arch: string;
    /** /proc/sys/kernel/tainted */
    tainted: number;
    /** /proc/sys/kernel/random/boot_id */
    bootId: string;
    /** 'none' | 'integrity' | 'confidentiality', '' where the kernel has no lockdown file */
    lockdown: string;
    /** true, false, or null where the host can not tell (no EFI is false) */
    secureBoot: boolean | null;
    /** module signatures are enforced */
    sigEnforce: boolean;
    installed: InstalledKernel[];
  };
  os: { id: string; idLike: string[]; versionId: string; codename: string; name: string };
  packages: {
    /** the package manager found: apt, dnf, zypper, or none */
    manager: 'apt' | 'dnf' | 'zypper' | 'none';
    /** dpkg --audit printed nothing (apt hosts; true elsewhere) */
    healthy: boolean;
  };
  /** systemd is the running init */
  systemd: boolean;
  cpus: number;
  memoryKiB: number;
}

/** Facts that a plan changes for the tasks behind it, e.g. a kernel that gets its headers. */
export interface FactsPatch {
  /** kernel releases that have headers once this task is applied */
  headersAdded?: readonly string[];
  headersRemoved?: readonly string[];
  /** kernel modules whose file for the running kernel this task makes anew */
  modulesBuilt?: readonly string[];
}

/** Returns the facts as they are once a planned task is applied; the input is left alone. */
export function patchFacts(facts: HostFacts, patch: FactsPatch): HostFacts {
  const added = new Set(patch.headersAdded);
  const removed = new Set(patch.headersRemoved);
  const installed = facts.kernel.installed.map((k) =>
    added.has(k.release) ? { ...k, headers: true } : removed.has(k.release) ? { ...k, headers: false } : k,
  );
  return { ...facts, kernel: { ...facts.kernel, installed } };
}
