import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { BenchReport } from '../../src/events/bench.ts';
import { blkfleet, type Ended, start } from './program.ts';

type InLab = (script: string) => Promise<Ended>;

const left = `ls -d /run/blkfleet-bench /dev/ram0 /sys/kernel/config/nullb/blkfleet-bench 2>/dev/null
lsmod | grep -wE '^(brd|null_blk)'; pgrep -a 'fio|vhost-blk-bench|qemu' || :`;

/** Measures in the lab host, which has no KVM, by the driver in user space; then once more, interrupted. */
export async function expectBench(inLab: InLab, inventory: string): Promise<void> {
  const fio = await inLab('sudo apt-get install -qq -y --no-install-recommends fio >/dev/null');
  expect(fio.status, fio.text).toBe(0);
  const folder = mkdtempSync(join(tmpdir(), 'blkfleet-bench-'));
  const html = join(folder, 'bench.html');
  const args = [
    'bench',
    '-i',
    inventory,
    '--disk',
    'ramdisk',
    '--vcpus',
    '2',
    '--runtime',
    '1',
    '--rounds',
    '1',
  ];
  try {
    const ended = await blkfleet(...args, '--json', '--html', html);
    expect(ended.status, ended.text).toBe(0);
    const report = JSON.parse(ended.stdout) as BenchReport;
    expect(report.disk.kind).toMatch(/^(brd|null_blk)$/);
    expect(report.driver.kind).toBe('client');
    for (const { way, outcome, reason, iops, ratio, cpuUs } of report.results) {
      if (way === 'virtio-blk') {
        expect([outcome, reason]).toEqual(['not measured', expect.stringContaining('no usable KVM')]);
        continue;
      }
      expect([way, outcome, reason, iops.length]).toEqual([way, 'measured', null, 1]);
      expect(ratio).toBeGreaterThan(0);
      expect(cpuUs).toBeGreaterThan(0);
    }
    expect(report.results).toHaveLength(2 * 4);
    // The table for people.
    console.log(ended.stderr.slice(ended.stderr.indexOf('\nrw ')));
    expect(ended.stderr).toMatch(/^randread +2 +vhost-blk +\S+ +\d+\.\d\d +/m);
    expect(ended.stderr).toMatch(/^QEMU virtio-blk is not measured: /m);
    expect(readFileSync(html, 'utf8').match(/data-way="vhost-blk"/g)).toHaveLength(2);
    expect((await inLab(left)).stdout).toBe('');

    const run = start([process.execPath, 'dist/cli.js', ...args, '--rounds', '9']);
    await run.says(/round 1 of 9, 2 vCPU: host/);
    run.child.kill('SIGINT');
    const interrupted = await run.ended;
    expect(interrupted.status, interrupted.text).toBe(130);
    expect(interrupted.text).not.toContain('left on the host');
    expect((await inLab(left)).stdout).toBe('');
  } finally {
    rmSync(folder, { recursive: true });
  }
}
