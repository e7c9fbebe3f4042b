import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { type BootResult, bootKernel } from './boot.ts';
import type { BuiltSource } from './build.ts';
import type { KernelLine } from './lines.ts';
import { prepareModule } from './prepare.ts';
import { dmQcow2, qcow2Files, qcow2Modules } from './qcow2-guest.ts';
import { ext4Disk, extractDisk } from './qcow2-images.ts';

export interface ImagesRequest {
  line: KernelLine;
  /** Where disks and what comes back are made. */
  folder: string;
  /** Names of folders in it: each is a disk of the guest, with so many bytes free. */
  disks: Readonly<Record<string, number>>;
  /** What the guest runs, as qcow2Script() makes it. */
  script: string;
  timeoutMs: number;
}

/**
 * Boots a kernel with the module built for it, and folders with images as ext4 disks.
 * @returns how the guest ended, and a folder for each disk with what was on it in the end, which are the caller's to remove
 */
export async function bootWithImages({ line, folder, disks, script, timeoutMs }: ImagesRequest): Promise<{
  result: BootResult;
  built: BuiltSource;
  back: string[];
}> {
  const { image, built } = await prepareModule(dmQcow2, line, (text) =>
    console.log(`[${line.line}] ${text}`),
  );
  const files = Object.entries(disks).map(([name, free]) => {
    const file = join(folder, `${name}-${line.line}.ext4`);
    ext4Disk(join(folder, name), file, free);
    return file;
  });
  const result = await bootKernel({
    kernel: image,
    modules: qcow2Modules(image),
    files: qcow2Files(built),
    script,
    disks: files,
    append: line.debug,
    timeoutMs,
  });
  const back = files.map((file) => {
    const to = `${file}.back`;
    extractDisk(file, to);
    rmSync(file);
    return to;
  });
  return { result, built, back };
}
