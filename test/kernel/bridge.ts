import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cacheFolder, type Log } from '../../src/lab/debian/cache.ts';
import { buildRoot } from '../../src/lab/debian/root.ts';
import { inRoot } from './namespace.ts';
import { runLogged } from './process.ts';

const kmod = fileURLToPath(new URL('../../kmod', import.meta.url));
const BUILD_MS = 10 * 60_000;
const IMAGE_MS = 10 * 60_000;

/** Where the bridge's sources are in a workshop, and those of its tests. */
export const BRIDGE = 'kmod/vhost-user-bridge/bridge';
export const BRIDGE_TEST = `${BRIDGE}/test`;

/** A change of one place of the bridge's source: what stands there once → what shall. */
export interface Change {
  file: string;
  from: string;
  to: string;
}

/** A folder in which the bridge and its tests are built and run, inside a Debian root that they do not change. */
export class Workshop {
  private constructor(
    private readonly root: string,
    readonly folder: string,
  ) {}

  /** @param root folder of a root with a compiler and make */
  static open(root: string): Workshop {
    const folder = mkdtempSync(join(tmpdir(), 'blkfleet-bridge-'));
    for (const part of ['vhost-user-bridge', 'vhost_blk/uapi']) {
      mkdirSync(join(folder, 'kmod', part, '..'), { recursive: true });
      cpSync(join(kmod, part), join(folder, 'kmod', part), { recursive: true });
    }
    mkdirSync(join(folder, 'out'));
    return new Workshop(root, folder);
  }

  change({ file, from, to }: Change): void {
    const path = join(this.folder, BRIDGE, file);
    const parts = readFileSync(path, 'utf8').split(from);
    if (parts.length !== 2) throw new Error(`${file} has ${parts.length - 1} times: ${from}`);
    writeFileSync(path, parts.join(to));
  }

  /** Makes a goal of one of the two Makefiles, with its products in `out`. @throws Error with the output when it fails */
  async make(where: string, goal: string): Promise<void> {
    const { code, output } = await this.run(`make -C ${where} O=/mnt/out ${goal}`, BUILD_MS);
    if (code !== 0) throw new Error(`make ${goal} of ${where} ended with ${code}:\n${output}`);
  }

  /** A product. */
  read(name: string): Buffer {
    return readFileSync(join(this.folder, 'out', name));
  }

  /** Runs a command line in the folder. */
  async run(command: string, timeoutMs: number): Promise<{ code: number | null; output: string }> {
    const output = join(this.folder, 'output');
    const argv = inRoot(this.root, { '/mnt': this.folder }, `cd /mnt && ${command}`);
    const { code } = await runLogged(argv, { output, timeoutMs });
    return { code, output: readFileSync(output, 'latin1') };
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/**
 * A file system with a Debian suite's own QEMU, for a guest: an ext4 image from the cache, made on first use, which nobody may
 * write.
 * @param more further packages
 */
export async function qemuImage(suite: string, log: Log, more: readonly string[] = []): Promise<string> {
  const root = await buildRoot({ suite, include: ['qemu-system-x86', 'seabios', ...more] }, log);
  const folder = join(cacheFolder(), 'images');
  const image = join(folder, `qemu-${basename(root)}.ext4`);
  if (existsSync(image)) return image;
  mkdirSync(folder, { recursive: true });
  const partial = `${image}.partial-${process.pid}`;
  // Who is not root can not read all of it.
  const argv = [
    'mke2fs',
    '-q',
    '-F',
    '-t',
    'ext4',
    '-O',
    '^has_journal',
    '-d',
    root,
    partial,
    `${more.length > 0 ? 768 : 448}M`,
  ];
  const output = `${partial}.log`;
  const { code } = await runLogged([...(process.getuid?.() === 0 ? [] : ['sudo', '-n']), ...argv], {
    output,
    timeoutMs: IMAGE_MS,
    env: { ...process.env, PATH: `${process.env.PATH ?? ''}:/usr/sbin:/sbin` },
  });
  const said = readFileSync(output, 'utf8');
  rmSync(output);
  if (code !== 0) {
    rmSync(partial, { force: true });
    throw new Error(`no image of ${root}: ${said}`);
  }
  renameSync(partial, image);
  return image;
}
