import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';

/** A module file of a kernel, plain (not compressed) when read. */
export interface ModuleFile {
  name: string;
  data: () => Buffer;
}

/** A kernel package unpacked: enough to boot it and to load its modules. */
export class KernelImage {
  readonly vmlinuz: string;
  private readonly paths = new Map<string, string>();

  constructor(
    readonly root: string,
    readonly release: string,
  ) {
    const places = [
      join(root, 'boot', `vmlinuz-${release}`),
      join(root, 'usr/lib/modules', release, 'vmlinuz'),
    ];
    const vmlinuz = places.find((path) => existsSync(path));
    if (vmlinuz === undefined) throw new Error(`no kernel ${release} in ${root}`);
    this.vmlinuz = vmlinuz;
    // Packages from trixie on install to /usr/lib; older ones to /lib.
    for (const lib of ['lib', 'usr/lib']) {
      const folder = join(root, lib, 'modules', this.release, 'kernel');
      if (!existsSync(folder)) continue;
      for (const path of readdirSync(folder, { recursive: true, encoding: 'utf8' }))
        if (/\.ko(\.(xz|zst|gz))?$/.test(path)) this.paths.set(moduleName(path), join(folder, path));
    }
  }

  /** Whether there is a module of that name; what is built into the kernel has none. */
  hasModule(name: string): boolean {
    return this.paths.has(name);
  }

  /**
   * The named modules and all they depend on, in an order in which insmod loads them.
   * @throws Error for a module that the kernel does not have
   */
  resolveModules(names: readonly string[]): ModuleFile[] {
    const found = new Map<string, ModuleFile>();
    const visit = (name: string) => {
      if (found.has(name)) return;
      const path = this.paths.get(name);
      if (path === undefined) throw new Error(`kernel ${this.release} has no module ${name}`);
      const data = readModule(path);
      for (const needed of dependsOf(data)) visit(needed);
      found.set(name, { name, data: () => data });
    };
    for (const name of names) visit(name);
    return [...found.values()];
  }
}

/**
 * Unpacks the packages of a kernel into a folder of the cache, once: the folder appears whole or not at all.
 * @param debs paths of linux-image and what it is split into
 * @param folder where it shall be
 * @param release as in uname -r
 */
export function unpackKernel(debs: readonly string[], folder: string, release: string): KernelImage {
  if (!existsSync(folder)) {
    const partial = `${folder}.partial-${process.pid}`;
    rmSync(partial, { recursive: true, force: true });
    mkdirSync(partial, { recursive: true });
    for (const deb of debs) execFileSync('dpkg-deb', ['--extract', deb, partial]);
    new KernelImage(partial, release);
    renameSync(partial, folder);
  }
  return new KernelImage(folder, release);
}

/** The packages that a linux-image package of newer kernels only points at: kernel and modules apart. */
export function partsOfImage(deb: string, release: string): string[] {
  const depends = execFileSync('dpkg-deb', ['--field', deb, 'Depends'], { encoding: 'utf8' });
  return ['linux-binary', 'linux-modules']
    .map((name) => `${name}-${release}`)
    .filter((name) => depends.split(/[,|\s]+/).includes(name));
}

function moduleName(path: string): string {
  return basename(path)
    .replace(/\.ko(\.\w+)?$/, '')
    .replaceAll('-', '_');
}

function readModule(path: string): Buffer {
  const decompress = { '.xz': 'xz', '.zst': 'zstd', '.gz': 'gzip' }[/\.(xz|zst|gz)$/.exec(path)?.[0] ?? ''];
  if (decompress === undefined) return readFileSync(path);
  return execFileSync(decompress, ['-dc', path], { maxBuffer: 64 * 1024 * 1024 });
}

/** `depends=` of the .modinfo section: strings there end with NUL, and no other section holds that one. */
function dependsOf(module: Buffer): string[] {
  const at = module.indexOf('\0depends=');
  if (at < 0) return [];
  const start = at + '\0depends='.length;
  const list = module.toString('latin1', start, module.indexOf(0, start));
  return list
    .split(',')
    .filter(Boolean)
    .map((name) => name.replaceAll('-', '_'));
}
