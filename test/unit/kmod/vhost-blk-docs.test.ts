import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { readDocumented, readOffered } from '../../kernel/documented.ts';

const repository = new URL('../../../', import.meta.url);
const read = (path: string) => readFileSync(new URL(path, repository), 'utf8');
const documented = readDocumented(read('docs/vhost_blk.md'));

const found = (path: string, pattern: RegExp) => [...read(path).matchAll(pattern)].map((one) => one[1]!);
const sorted = (names: Iterable<string>) => [...new Set(names)].sort();

describe('docs/vhost_blk.md', () => {
  test('has each ioctl that the module knows, and no other', () => {
    const known = [
      ...found('kmod/vhost_blk/ioctl.c', /case (VHOST_\w+):/g),
      ...found('kmod/vhost_blk/ioctl.c', /request == (VHOST_\w+)/g),
    ];
    expect(known.length).toBeGreaterThan(25);
    expect(sorted(documented.calls)).toEqual(sorted(known));
  });

  test('has each feature bit that the module offers, and no other', () => {
    const mask = /#define VBLK_FEATURES(.*?)\n\n/s.exec(read('kmod/vhost_blk/ioctl.c'))![1]!;
    const offered = [...mask.matchAll(/BIT_ULL\((\w+)\)/g)].map((one) => one[1]!);
    expect(offered.length).toBeGreaterThan(10);
    expect(sorted(documented.features)).toEqual(sorted(offered));
  });

  test('has each module parameter with its default', () => {
    const defaults = [...read('kmod/vhost_blk/params.c').matchAll(/struct vblk_param (\w+) = \{ (\d+),/g)];
    expect(new Map(defaults.map((one) => [one[1]!, one[2]!]))).toEqual(documented.parameters);
    expect(documented.parameters.size).toBeGreaterThan(0);
  });

  test('has each line of debugfs', () => {
    const stats = read('kmod/vhost_blk/stats.c');
    const formats = [...stats.matchAll(/seq_printf\(seq, "([^;]*?)"[,)]/gs)].map((one) => one[1]!);
    const lines = formats.flatMap((format) =>
      format
        .split('\\n')
        .filter(Boolean)
        .map((line) => line.split(' ')[0]!),
    );
    const types = [...stats.matchAll(/\[VBLK_TYPE_\w+\]\s*= "(\w+)"/g)].map((one) => `requests_${one[1]}`);
    const shown = lines.flatMap((line) => (line === 'requests_%s' ? types : line.replace(/%lu$/, 'N')));
    expect(shown.length).toBeGreaterThan(20);
    expect(sorted(documented.counters)).toEqual(sorted(shown));
  });

  test('has each tracepoint', () => {
    const events = [
      ...found('kmod/vhost_blk/trace.h', /TRACE_EVENT\((\w+),/g),
      ...found('kmod/vhost_blk/trace.h', /DEFINE_EVENT\(\w+, (\w+),/g),
    ];
    expect(events.length).toBeGreaterThan(3);
    expect(sorted(documented.tracepoints)).toEqual(sorted(events));
  });
});

test('reads what vhost-blk-check --features prints', () => {
  const lines = [
    'features 0x1',
    '  bit  1  VIRTIO_BLK_F_SIZE_MAX',
    '  bit 32  VIRTIO_F_VERSION_1',
    'always',
    '  virtqueues                           64',
    'module parameters',
    '  busyloop_us                          50',
  ];
  expect(readOffered(lines)).toEqual({
    features: ['VIRTIO_BLK_F_SIZE_MAX', 'VIRTIO_F_VERSION_1'],
    parameters: new Map([['busyloop_us', '50']]),
  });
});
