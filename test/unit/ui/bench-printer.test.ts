import { describe, expect, test } from 'vitest';
import { printBench, rateText } from '../../../src/ui/bench-printer.ts';
import { sampleReport } from '../bench/report.ts';

describe('the table of a bench', () => {
  const text = printBench(sampleReport());
  const rows = text.split('\n').filter((line) => /^rand/.test(line));

  test('a row for each rw, number of vCPUs and way that was measured, with ratio, CPU time and spread', () => {
    expect(rows).toHaveLength(12);
    expect(rows[0]).toMatch(/^randread +1 +host \(fio\) +100k +1\.00 +10\.0 +90\.0k – 110k$/);
    expect(rows[2]).toMatch(/^randread +1 +vhost-blk +97\.5k +0\.97 +10\.3 +/);
    expect(rows[10]).toMatch(/^randwrite +2 +vhost-user-blk \(qemu-storage-daemon\) +52\.0k +0\.52 /);
  });

  test('columns stand below their heads', () => {
    const head = text.split('\n').find((line) => line.startsWith('rw '))!;
    const end = (line: string, word: string) => line.indexOf(word) + word.length;
    expect(end(head, '÷ host')).toBe(end(rows[0]!, '1.00'));
    expect(end(head, 'IOPS')).toBe(end(rows[0]!, '100k'));
  });

  test('what was not measured stands once, with its reason; a round that failed beside its row', () => {
    expect(text.match(/QEMU virtio-blk/g)).toHaveLength(1);
    expect(text).toContain(
      'QEMU virtio-blk is not measured: needs a guest, and this host has no usable KVM\n',
    );
    expect(text.match(/a round failed: it hung/g)).toHaveLength(1);
  });

  test('it says what was measured, on what, and that the driver was no guest', () => {
    expect(text).toMatch(
      /^hv01: RAM disk \(brd\) \/dev\/ram0, 256 MiB; kernel 6\.12\.1-amd64; 4 CPUs: Some CPU\n/,
    );
    expect(text).toContain('vhost-blk-bench');
    expect(text).toContain('a ratio above 1 is no error');
  });

  test('nothing of a host reaches the terminal as more than text', () => {
    const machine = { ...sampleReport().machine, cpu: 'CPU\x1b]0;title\x07' };
    const driver = { kind: 'client' as const, reason: '\x1b[2J' };
    const hostile = printBench(sampleReport({ machine, driver, warnings: ['\u202e'], host: 'hv\x9b' }));
    expect(hostile).not.toMatch(/[^\n\P{C}]/u);
  });

  test('rates', () => {
    expect([0.4, 999.4, 1000, 99_949, 250_400, 1_234_567].map(rateText)).toEqual([
      '0',
      '999',
      '1.0k',
      '99.9k',
      '250k',
      '1.23M',
    ]);
  });
});
