import { createHash } from 'node:crypto';
import { type DkmsConf, parseDkmsConf } from '../../facts/dkms-conf.ts';
import { FleetError } from '../../lib/errors.ts';
import type { Asset, AssetRequest, Input, Payload } from '../kind.ts';
import type { DkmsDesired } from './schema.ts';
import { foldersOf, type PackageFile, tarOf } from './tar.ts';

/** A package ready for any host: what its dkms.conf says, and its files as one archive. */
export interface DkmsPackage {
  conf: DkmsConf;
  files: readonly PackageFile[];
  /** sha256 of `manifest`: the identity of the source */
  sha256: string;
  /** what the probe prints of a source folder: `d 755 0:0 ./path`, `f 644 0:0 ./path` and `sha256  ./path`, sorted */
  manifest: string;
  archive: Payload;
}

export interface PackageProblem {
  message: string;
  hint?: string;
}

// Left behind by a build in the operator's own folder; hosts make their own.
const PRODUCTS =
  /(^|\/)(\.git|\.tmp_versions|\.[^/]*\.(cmd|d))(\/|$)|\.(o|ko|mod|mod\.c|a|order|symvers|orig|rej)$|~$/;

const MAX_BYTES = 32 * 1024 * 1024;

/** The folders of a declaration, each under its own key: `source`, or `source.0`, `source.1`, … of a list. */
export function sourceAssets({ source }: DkmsDesired): AssetRequest[] {
  if (source === undefined) return [];
  if (typeof source === 'string') return [{ key: 'source', path: source, how: 'folder' }];
  return source.map((path, i) => ({ key: `source.${i}`, path, how: 'folder' }));
}

type Loaded = { package?: DkmsPackage; problems: readonly PackageProblem[] };

// The same folders serve all hosts: read and pack them once. The first folder is the key, the others' hashes follow.
const loaded = new WeakMap<Asset, Map<string, Loaded>>();

/** Merges the folders, reads dkms.conf and packs them; all problems, not only the first. */
export function readPackage({ desired, assets }: Input<DkmsDesired>): Loaded {
  const folders = sourceAssets(desired).map(({ key }) => assets[key]);
  const first = folders[0];
  if (!first || folders.some((folder) => folder?.files === undefined))
    return { problems: [{ message: 'the source folder was not read' }] };
  const key = folders.map((folder) => folder!.sha256).join(' ');
  const known = loaded.get(first) ?? new Map<string, Loaded>();
  loaded.set(first, known);
  let result = known.get(key);
  if (!result) {
    result = pack(folders as Asset[]);
    known.set(key, result);
  }
  return result;
}

/** The package of a declaration that `check` has passed. */
export function packageOf(input: Input<DkmsDesired>): DkmsPackage | undefined {
  if (input.desired.source === undefined) return undefined;
  const { package: found, problems } = readPackage(input);
  if (found) return found;
  throw new FleetError(problems.map((problem) => ({ code: 'E_SCHEMA' as const, ...problem })));
}

/** PACKAGE_NAME, from source or given. */
export function nameOf(input: Input<DkmsDesired>): string {
  return packageOf(input)?.conf.name ?? input.desired.name!;
}

function pack(folders: readonly Asset[]): Loaded {
  const problems: PackageProblem[] = [];
  const merged = new Map<string, PackageFile>();
  for (const { path, mode, bytes, sha256 } of folders.flatMap((folder) => folder.files ?? [])) {
    if (PRODUCTS.test(path)) continue;
    const there = merged.get(path);
    if (there && there.sha256 !== sha256)
      problems.push({ message: `${path} stands in two of the folders, with other content` });
    if (!/^[A-Za-z0-9._+,@=~/-]+$/.test(path))
      problems.push({ message: `${JSON.stringify(path)} is no name for a source file` });
    merged.set(path, { path, mode: mode & 0o111 ? 0o755 : 0o644, bytes, sha256 });
  }
  const files = [...merged.values()].sort((a, b) => Buffer.compare(Buffer.from(a.path), Buffer.from(b.path)));
  if (files.reduce((sum, file) => sum + file.bytes.length, 0) > MAX_BYTES)
    problems.push({ message: 'the source is larger than 32 MiB', hint: 'is there a build in it?' });
  const conf = readConf(merged.get('dkms.conf'), problems);
  if (!conf || problems.length > 0) return { problems };
  const manifest = manifestOf(files);
  const bytes = tarOf(files);
  const archive = { sha256: sha256Of(bytes), bytes };
  return { package: { conf, files, manifest, sha256: sha256Of(manifest), archive }, problems };
}

function readConf(file: PackageFile | undefined, problems: PackageProblem[]): DkmsConf | undefined {
  if (!file) {
    problems.push({ message: 'there is no dkms.conf at the root of the source' });
    return undefined;
  }
  const read = parseDkmsConf(file.bytes.toString('utf8'));
  for (const { line, message, hint } of read.problems)
    problems.push({
      message: `dkms.conf${line > 0 ? ` line ${line}` : ''}: ${message}`,
      ...(hint ? { hint } : {}),
    });
  return read.conf;
}

/** The text that `dkms_manifest` in sh prints for a folder that holds just these files. */
function manifestOf(files: readonly PackageFile[]): string {
  const lines = [
    'd 755 0:0 .\n',
    ...foldersOf(files).map((folder) => `d 755 0:0 ./${folder}\n`),
    ...files.map(({ path, mode }) => `f ${mode.toString(8)} 0:0 ./${path}\n`),
    ...files.map(({ path, sha256 }) => `${sha256}  ./${path}\n`),
  ];
  return lines.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))).join('');
}

function sha256Of(data: string | Buffer): string {
  return createHash('sha256').update(data).digest('hex');
}
