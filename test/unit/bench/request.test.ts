import { describe, expect, test } from 'vitest';
import { type BenchFlags, benchRequest, vcpuCounts } from '../../../src/bench/request.ts';
import { FleetError } from '../../../src/lib/errors.ts';

const refusal = (flags: BenchFlags) => {
  try {
    benchRequest(flags);
  } catch (error) {
    if (error instanceof FleetError) return error.code;
    throw error;
  }
  return 'taken';
};

describe('the request of a bench', () => {
  test("without flags: the series' table on a RAM disk, as many vCPUs as the host has CPUs for", () => {
    const request = benchRequest({});
    expect(request).toEqual({
      disk: 'ramdisk',
      rw: ['randread', 'randwrite'],
      iodepth: 128,
      vcpus: null,
      runtimeSeconds: 5,
      rounds: 3,
      guest: 'auto',
    });
    expect(vcpuCounts(request, 6)).toEqual([1, 2, 4]);
    expect(vcpuCounts(request, 1)).toEqual([1]);
  });

  test('what is asked for is kept, also more vCPUs than the host has; doubles go', () => {
    const request = benchRequest({
      vcpus: '8,1,8',
      rw: 'randwrite',
      disk: '/dev/disk/by-path/pci-0000:00:1f.2-ata-1',
    });
    expect(vcpuCounts(request, 2)).toEqual([8, 1]);
    expect(request.rw).toEqual(['randwrite']);
  });

  test.for<BenchFlags>([
    { disk: 'sda' },
    { disk: '/dev/sda,cache=unsafe' },
    { disk: '/dev/../etc/passwd' },
    { disk: "/dev/sda'; reboot" },
    { rw: 'read' },
    { rw: '' },
    { iodepth: '0' },
    { iodepth: '257' },
    { iodepth: '1e2' },
    { vcpus: '0' },
    { vcpus: '1,,2' },
    { vcpus: '1,2,3,4,5,6,7,8,9' },
    { runtime: '0' },
    { runtime: '-1' },
    { rounds: '33' },
    { guest: 'kvm' },
  ])('%j is refused before anything is contacted', (flags) => {
    expect(refusal(flags)).toBe('E_USAGE');
  });
});
