import { describe, expect, test } from 'vitest';
import type { BenchReport } from '../../../src/events/bench.ts';
import { benchHtml } from '../../../src/report/bench-html.ts';
import { benchTexts } from '../../../src/ui/bench-printer.ts';
import { sampleReport } from '../bench/report.ts';

const page = (report: BenchReport) => benchHtml(report, benchTexts(report));

describe('the page of a bench', () => {
  const html = page(sampleReport());

  test('names no other address, and runs nothing', () => {
    expect(html).not.toMatch(/https?:|\/\/|<script|<link|<img|@import|url\(|\son\w+=/i);
    expect(html).toContain("default-src 'none'");
  });

  test('a bar for each measured way, as long as its rate; a row of the table for each', () => {
    const bars = [
      ...html.matchAll(
        /<rect class="(\S+)" data-rw="(\w+)" data-vcpus="(\d)" .*? width="([\d.]+)" height="20"/g,
      ),
    ];
    expect(bars).toHaveLength(12);
    const width = (way: string, rw: string, vcpus: string) =>
      Number(bars.find(([, a, b, c]) => a === way && b === rw && c === vcpus)![4]);
    expect(width('vhost-blk', 'randread', '1') / width('host', 'randread', '1')).toBeCloseTo(0.975, 2);
    expect(width('host', 'randread', '2') / width('host', 'randread', '1')).toBeCloseTo(2, 1);
    expect(html.match(/<tr><th scope="row">/g)).toHaveLength(12);
    expect(html).toContain('<td class="number">97500</td><td class="number">0.97</td>');
    expect(html).toContain('QEMU virtio-blk is not measured: needs a guest');
  });

  test('what a host says is text', () => {
    const hostile = page(
      sampleReport({
        host: '"><script>alert(1)</script>',
        machine: { ...sampleReport().machine, cpu: "<img src=x onerror='x'>&\x1b" },
        warnings: ['</p><b>'],
      }),
    );
    expect(hostile).not.toMatch(/<script|<img|<b>/);
    expect(hostile).toContain('&lt;img src=x onerror=');
    expect(hostile).not.toContain('\x1b');
  });
});
