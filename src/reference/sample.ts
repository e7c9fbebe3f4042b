import type { HostFacts } from '../facts/facts.ts';

/** A host for the examples of the reference: what it answers. */
export const sampleFacts: HostFacts = {
  hostname: 'hv01',
  uid: 0,
  kernel: {
    release: '6.1.0-41-amd64',
    version: '#1 SMP PREEMPT_DYNAMIC Debian 6.1.158-1 (2025-11-09)',
    arch: 'x86_64',
    tainted: 0,
    bootId: '0b7f4ac2-9d0e-4b0f-8a53-3f6f5f0c2c11',
    lockdown: 'none',
    secureBoot: false,
    sigEnforce: false,
    installed: [{ release: '6.1.0-41-amd64', headers: true, image: true }],
  },
  os: {
    id: 'debian',
    idLike: [],
    versionId: '12',
    codename: 'bookworm',
    name: 'Debian GNU/Linux 12 (bookworm)',
  },
  packages: { manager: 'apt', healthy: true },
  systemd: true,
  cpus: 16,
  memoryKiB: 65_843_200,
};

/** The variables of that host, as YAML has them. */
export const sampleVariables: Readonly<Record<string, unknown>> = {
  inventory_hostname: 'hv01',
  group_names: ['hypervisors', 'rack_a'],
  queue_count: 8,
  ratio: 2.5,
  spare: false,
  site: 'Berlin west',
  mounts: ['/srv', null],
  disks: [
    { name: 'vda', size: 40, cache: 'none' },
    { name: 'vdb', size: 200 },
  ],
};
