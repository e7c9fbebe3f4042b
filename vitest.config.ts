import { defineConfig } from 'vitest/config';

// The slow projects each hold one real part; they run one file at a time so that two builds or VMs never compete.
const slow = { fileParallelism: false, testTimeout: 900_000, hookTimeout: 900_000, pool: 'forks' as const };

// What only test:full runs.
const long =
  process.env.BLKFLEET_TEST_FULL === '1'
    ? []
    : [
        ...['speed', 'debug-kernel', 'fuzz', 'bridge-fuzz', 'bridge-linux', 'kernel-style'].map(
          (name) => `kernel/${name}`,
        ),
        ...['crash', 'debug', 'fuzz', 'hostile', 'write'].map((name) => `kernel/qcow2-${name}`),
        ...['kernel-module-crash', 'apt-kernels', 'dkms-versions', 'qemu-libvirt'].map(
          (name) => `hosts/${name}`,
        ),
      ].map((name) => `test/${name}.test.ts`);

export default defineConfig({
  test: {
    projects: [
      // Seconds on a quiet machine; a busy one is several times slower.
      { test: { name: 'unit', include: ['test/unit/**/*.test.ts'], pool: 'threads', testTimeout: 60_000 } },
      { test: { name: 'hosts', include: ['test/hosts/**/*.test.ts'], exclude: long, ...slow } },
      { test: { name: 'kernel', include: ['test/kernel/**/*.test.ts'], exclude: long, ...slow } },
      { test: { name: 'lab', include: ['test/lab/**/*.test.ts'], ...slow } },
    ],
  },
});
