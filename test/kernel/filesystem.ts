import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

/**
 * An empty ext4 file system as a compressed image: with extents and a journal, which busybox can not make in the guest.
 * @param megabytes size of the image when it is unpacked
 */
export function ext4Image(megabytes: number): Buffer {
  const folder = mkdtempSync(join(tmpdir(), 'blkfleet-ext4-'));
  try {
    const image = join(folder, 'image');
    const path = `${process.env.PATH ?? ''}:/usr/sbin:/sbin`;
    execFileSync('mke2fs', ['-q', '-F', '-t', 'ext4', '-b', '4096', image, `${megabytes}M`], {
      env: { ...process.env, PATH: path },
    });
    return gzipSync(readFileSync(image), { level: 1 });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
