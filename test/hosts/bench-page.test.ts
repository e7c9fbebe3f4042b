import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { buildRoot } from '../../src/lab/debian/root.ts';
import { benchHtml } from '../../src/report/bench-html.ts';
import { benchTexts } from '../../src/ui/bench-printer.ts';
import { sampleReport } from '../unit/bench/report.ts';
import { decodePng } from './png.ts';

const SIZE = { width: 800, height: 1600 };

let root: string;
let folder: string;
beforeAll(async () => {
  const include = ['chromium-headless-shell', 'fonts-dejavu-core'];
  root = await buildRoot({ suite: 'bookworm', include }, (line) => console.error(line));
  folder = mkdtempSync(join(tmpdir(), 'blkfleet-page-'));
  const report = sampleReport();
  writeFileSync(join(folder, 'page.html'), benchHtml(report, benchTexts(report)));
});
afterAll(() => {
  if (folder) rmSync(folder, { recursive: true, force: true });
});

/** Opens the page in Chromium, in a root of its own without a network; the folder is its /mnt. */
function chromium(...options: string[]): string {
  const script = `mount --bind ${folder} ${root}/mnt
mount -t proc proc ${root}/proc
mount -t tmpfs tmpfs ${root}/tmp
mount -t tmpfs tmpfs ${root}/dev/shm 2>/dev/null || :
exec chroot ${root} chromium-headless-shell --no-sandbox --disable-gpu --user-data-dir=/tmp/profile --hide-scrollbars "$@" \\
  file:///mnt/page.html`;
  const { status, stdout, stderr } = spawnSync(
    'unshare',
    ['--mount', '--net', '--pid', '--fork', '--kill-child', 'sh', '-ec', script, 'sh', ...options],
    { encoding: 'utf8', timeout: 300_000, maxBuffer: 1 << 26, env: { PATH: process.env.PATH, HOME: '/tmp' } },
  );
  if (status !== 0) throw new Error(`chromium ended with ${status}:\n${stderr.slice(-2000)}`);
  return stdout;
}

it('Chromium shows a bar and a row for each way, and every number', () => {
  const dom = chromium('--dump-dom');
  expect(dom.match(/<rect [^>]*data-way="/g)).toHaveLength(12);
  expect(dom.match(/<tr><th scope="row">/g)).toHaveLength(12);
  expect(dom).toContain('<td class="number">97500</td>');
  expect(dom).toContain('QEMU virtio-blk is not measured');
});

/** Counts pixels of a colour in a PPM made of the screenshot. */
function pixels(colour: readonly [number, number, number], ...options: string[]): number {
  chromium(`--window-size=${SIZE.width},${SIZE.height}`, '--screenshot=/mnt/page.png', ...options);
  const { data, channels } = decodePng(readFileSync(join(folder, 'page.png')));
  let count = 0;
  for (let at = 0; at < data.length; at += channels)
    if (colour.every((value, channel) => data[at + channel] === value)) count++;
  return count;
}

it('on the screen the bars have their colours and lengths, by day and by night', () => {
  // --vhost and --host of the page's style; the bars of both are near in length.
  const [vhost, host] = [pixels([0x1a, 0x7f, 0x37]), pixels([0x6e, 0x77, 0x81])];
  expect(vhost).toBeGreaterThan(5000);
  expect(vhost / host).toBeGreaterThan(0.85);
  expect(vhost / host).toBeLessThan(1.05);
  const dark = pixels([0x0d, 0x11, 0x17], '--blink-settings=preferredColorScheme=0');
  expect(dark).toBeGreaterThan((SIZE.width * SIZE.height) / 3);
});
