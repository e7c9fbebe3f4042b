import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { copyFile, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { cacheFolder, type Log } from '../../../src/lab/debian/cache.ts';
import { fetchPackages, newestKernel } from '../../../src/lab/debian/package.ts';
import { buildRoot } from '../../../src/lab/debian/root.ts';

const suite = 'bookworm';
const flavour = 'cloud-amd64';

/** The Debian root file system under all hosts, with one kernel and its headers. */
export interface HostRoot {
  folder: string;
  /** uname -r of the kernel that is installed in it; not the one that runs */
  kernel: string;
}

/** The shared root, built on first use in about a minute. Needs root, mmdebstrap and a Debian mirror. */
export async function hostRoot(log: Log): Promise<HostRoot> {
  const kernel = await newestKernel({ suite, flavour, line: '6.1' }, log);
  const include = ['openssh-server', 'sudo', 'dkms', 'gcc', 'make', 'kmod', kernel.image, kernel.headers];
  return { folder: await buildRoot({ suite, include }, log), kernel: kernel.release };
}

/** A kernel newer than the one in the root, as the packages that have to be installed together. */
export async function newerKernelPackages(log: Log): Promise<{ release: string; names: string[] }> {
  const { release, image, headers } = await newestKernel({ suite, flavour, line: '6.12' }, log);
  const names = [image, headers];
  // apt can not choose among other repositories on a host, so what the headers need is named too.
  for (let i = 0; i < names.length; i++) {
    const [deb] = await fetchPackages({ suite, names: [names[i] ?? ''] }, log);
    const depends = execFileSync('dpkg-deb', ['-f', deb?.file ?? '', 'Depends'], { encoding: 'utf8' });
    for (const [name] of depends.matchAll(/\blinux-(?:headers|kbuild)-[^\s,|(]+/g))
      if (!names.includes(name)) names.push(name);
  }
  return { release, names };
}

/**
 * A flat apt repository of these packages from the machine's mirror.
 * @returns its folder: .debs, Packages and Release
 */
export async function packageRepository(names: readonly string[], log: Log): Promise<string> {
  const debs = await fetchPackages({ suite, names }, log);
  const key = createHash('sha256')
    .update(JSON.stringify(debs.map(({ file }) => basename(file))))
    .digest('hex');
  const repositories = join(cacheFolder(), 'repositories');
  const folder = join(repositories, key.slice(0, 16));
  if (existsSync(folder)) return folder;
  mkdirSync(repositories, { recursive: true });
  const part = mkdtempSync(`${folder}.`);
  try {
    const stanzas: string[] = [];
    for (const { file } of debs) {
      const copy = join(part, basename(file));
      try {
        linkSync(file, copy);
      } catch {
        await copyFile(file, copy);
      }
      stanzas.push(await packagesStanza(copy));
    }
    const index = stanzas.join('\n');
    writeFileSync(join(part, 'Packages'), index);
    // Without a Release file apt asks for each compressed form of the index first.
    const sum = createHash('sha256').update(index).digest('hex');
    writeFileSync(join(part, 'Release'), `SHA256:\n ${sum} ${Buffer.byteLength(index)} Packages\n`);
    renameSync(part, folder);
  } catch (error) {
    rmSync(part, { recursive: true, force: true });
    throw error;
  }
  return folder;
}

async function packagesStanza(deb: string): Promise<string> {
  const control = execFileSync('dpkg-deb', ['-f', deb], { encoding: 'utf8' }).trimEnd();
  const sha256 = createHash('sha256')
    .update(await readFile(deb))
    .digest('hex');
  return `${control}\nFilename: ./${basename(deb)}\nSize: ${statSync(deb).size}\nSHA256: ${sha256}\n`;
}
