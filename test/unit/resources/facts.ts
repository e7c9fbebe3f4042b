import type { HostFacts } from '../../../src/facts/facts.ts';

/** A healthy Debian 12 host; `packages` may be overridden. */
export function debianFacts(packages: Partial<HostFacts['packages']> = {}): HostFacts {
  return {
    hostname: 'hv01',
    uid: 0,
    kernel: {
      release: '6.1.0-41-amd64',
      version: '#1 SMP PREEMPT_DYNAMIC Debian 6.1.158-1',
      arch: 'x86_64',
      tainted: 0,
      bootId: '7f3c1a52-0000-4000-8000-000000000001',
      lockdown: 'none',
      secureBoot: false,
      sigEnforce: false,
      installed: [{ release: '6.1.0-41-amd64', headers: false, image: true }],
    },
    os: {
      id: 'debian',
      idLike: [],
      versionId: '12',
      codename: 'bookworm',
      name: 'Debian GNU/Linux 12 (bookworm)',
    },
    packages: { manager: 'apt', healthy: true, ...packages },
    systemd: true,
    cpus: 2,
    memoryKiB: 4_000_000,
  };
}
