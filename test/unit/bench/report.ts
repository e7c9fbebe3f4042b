import { Results } from '../../../src/bench/results.ts';
import type { BenchReport } from '../../../src/events/bench.ts';

/** A run over two numbers of vCPUs, with a way that needs a guest and a round that failed. */
export function sampleReport(more: Partial<BenchReport> = {}): BenchReport {
  const results = new Results();
  const rate = { host: 100_000, 'vhost-user-blk': 52_000, 'vhost-blk': 97_500 } as const;
  for (const rw of ['randread', 'randwrite'] as const)
    for (const vcpus of [1, 2])
      for (const way of ['host', 'vhost-user-blk', 'vhost-blk'] as const)
        for (const share of [0.9, 1, 1.1]) {
          const iops = rate[way] * share * vcpus * (rw === 'randread' ? 1 : 0.5);
          results.add(way, rw, vcpus, { ok: true, iops, cpuUs: 1e6 / iops });
        }
  results.add('vhost-blk', 'randwrite', 2, { ok: false, skipped: false, reason: 'it hung' });
  results.skip('virtio-blk', 'needs a guest, and this host has no usable KVM');
  return {
    command: 'bench',
    run: { id: 'x-1', started: '2026-01-02T03:04:05.000Z', finished: '2026-01-02T03:09:05.000Z' },
    host: 'hv01',
    machine: { kernel: '6.12.1-amd64', cpu: 'Some CPU', cpus: 4, memoryKiB: 8_000_000, load: 0.1 },
    disk: { device: '/dev/ram0', kind: 'brd', bytes: 268_435_456 },
    request: {
      rw: ['randread', 'randwrite'],
      iodepth: 128,
      vcpus: [1, 2],
      runtimeSeconds: 5,
      rounds: 3,
      blockBytes: 4096,
    },
    driver: { kind: 'client', reason: 'this host has no usable KVM: there is no /dev/kvm' },
    results: results.rows(
      ['randread', 'randwrite'],
      [1, 2],
      ['host', 'virtio-blk', 'vhost-user-blk', 'vhost-blk'],
    ),
    warnings: [],
    ...more,
  };
}
