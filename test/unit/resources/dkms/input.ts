import { createHash } from 'node:crypto';
import { type DkmsDesired, dkmsSchema } from '../../../../src/resources/dkms/schema.ts';
import type { Asset, Input } from '../../../../src/resources/kind.ts';

const sha256 = (text: string | Buffer) => createHash('sha256').update(text).digest('hex');

/** A folder as the loader hands it to a kind. */
export function folder(files: Readonly<Record<string, string>>): Asset {
  const list = Object.entries(files)
    .sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
    .map(([path, text]) => ({ path, mode: 0o644, bytes: Buffer.from(text), sha256: sha256(text) }));
  return { files: list, sha256: sha256(list.map((file) => `${file.sha256}  ${file.path}\n`).join('')) };
}

/** A dkms.conf of the package demo, version 1.0, with more lines. */
export const conf = (more = '') => `PACKAGE_NAME="demo"
PACKAGE_VERSION="1.0"
BUILT_MODULE_NAME[0]="demo"
DEST_MODULE_LOCATION[0]="/kernel/extra"
${more}`;

/** A declaration of the package demo with these folders. */
export function demo(...folders: Readonly<Record<string, string>>[]): Input<DkmsDesired> {
  const given = folders.length > 0 ? folders : [{ 'dkms.conf': conf(), 'demo.c': 'int demo;\n' }];
  if (given.length === 1)
    return { desired: dkmsSchema.parse({ source: 'demo' }), assets: { source: folder(given[0]!) } };
  return {
    desired: dkmsSchema.parse({ source: given.map((_folder, i) => `demo${i}`) }),
    assets: Object.fromEntries(given.map((files, i) => [`source.${i}`, folder(files)])),
  };
}
