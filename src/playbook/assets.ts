import { isUtf8 } from 'node:buffer';
import { createHash } from 'node:crypto';
import { type Dirent, lstatSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import type { Asset, AssetFile, AssetRequest } from '../resources/kind.ts';
import { Problem } from './problem.ts';
import { compileTemplate, type Lookup, type Template } from './template.ts';

const maxFileBytes = 64 * 1024 * 1024;
const maxTemplateBytes = 1024 * 1024;
const maxFolderFiles = 4096;
const maxFolderBytes = 64 * 1024 * 1024;
const maxFolderDepth = 32;

interface TemplateFile {
  template: Template;
  origin: { template: string; lineOf(offset: number): { line: number; col: number; excerpt: string } };
}

/** Local files that tasks need, each read once for all hosts; the same content is one object. */
export class Assets {
  readonly #playbook: string;
  readonly #raw = new Map<string, Asset>();
  readonly #templates = new Map<string, TemplateFile>();
  readonly #folders = new Map<string, Asset>();
  readonly #contents = new Map<string, Asset>();

  /** @param playbook path of the playbook, as the operator gave it */
  constructor(playbook: string) {
    this.#playbook = playbook;
  }

  /** @throws Problem E_FILE for what can not be read, those of templates otherwise; UnknownYet */
  load(request: AssetRequest, variables: Lookup): Asset {
    const path = resolve(dirname(this.#playbook), request.path);
    const shown = join(dirname(this.#playbook), request.path);
    switch (request.how) {
      case 'raw':
        return remember(this.#raw, path, () => this.#content(readCapped(path, shown, maxFileBytes)));
      case 'folder':
        return remember(this.#folders, path, () => readFolder(path, shown));
      case 'template': {
        const { template, origin } = remember(this.#templates, path, () => readTemplate(path, shown));
        try {
          return this.#content(Buffer.from(String(template.render(variables, false))));
        } catch (error) {
          throw error instanceof Problem ? error.placed(origin) : error;
        }
      }
    }
  }

  #content(bytes: Buffer): Asset {
    const sha256 = hash(bytes);
    return remember(this.#contents, sha256, () => ({ sha256, bytes }));
  }
}

function readTemplate(path: string, shown: string): TemplateFile {
  const bytes = readCapped(path, shown, maxTemplateBytes);
  if (!isUtf8(bytes))
    throw new Problem('E_FILE', `${shown} is no UTF-8 text`, { hint: 'a template is text; use src' });
  const text = bytes.toString('utf8');
  const origin = {
    template: shown,
    lineOf: (offset: number) => {
      const before = text.slice(0, offset).split('\n');
      const excerpt = text.split('\n')[before.length - 1] ?? '';
      return { line: before.length, col: before.at(-1)!.length + 1, excerpt };
    },
  };
  try {
    return { template: compileTemplate(text), origin };
  } catch (error) {
    throw error instanceof Problem ? error.placed(origin) : error;
  }
}

function readFolder(root: string, shown: string): Asset {
  const files: AssetFile[] = [];
  let total = 0;
  const visit = (folder: string, prefix: string, depth: number) => {
    if (depth > maxFolderDepth)
      throw new Problem('E_FILE', `${shown} is nested deeper than ${maxFolderDepth}`);
    for (const entry of listFolder(folder, shown)) {
      const path = `${prefix}${entry.name}`;
      const place = join(folder, entry.name);
      if (entry.isDirectory()) visit(place, `${path}/`, depth + 1);
      else if (!entry.isFile())
        throw new Problem('E_FILE', `${join(shown, path)} is a link or a special file`, {
          hint: 'a folder that is pushed holds files and folders only',
        });
      else {
        const bytes = readCapped(place, join(shown, path), maxFileBytes);
        total += bytes.length;
        if (files.length >= maxFolderFiles || total > maxFolderBytes)
          throw new Problem('E_FILE', `${shown} holds more than ${maxFolderFiles} files or 64 MiB`);
        // Modes of a checkout differ by umask: only whether it can be run is kept.
        const mode = lstatSync(place).mode & 0o111 ? 0o755 : 0o644;
        files.push({ path, mode, bytes, sha256: hash(bytes) });
      }
    }
  };
  visit(root, '', 0);
  files.sort((a, b) => Buffer.compare(Buffer.from(a.path), Buffer.from(b.path)));
  const list = files.map((file) => `${file.sha256}  ${file.path}\n`).join('');
  return { sha256: hash(Buffer.from(list)), files };
}

function listFolder(folder: string, shown: string): Dirent[] {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch (error) {
    throw unreadable(shown, error, 'folder');
  }
}

function readCapped(path: string, shown: string, limit: number): Buffer {
  try {
    const status = statSync(path);
    if (!status.isFile())
      throw new Problem('E_FILE', `${shown} is ${status.isDirectory() ? 'a folder' : 'not a regular file'}`);
    if (status.size > limit)
      throw new Problem('E_FILE', `${shown} has ${status.size} bytes; ${limit} are the most`);
    return readFileSync(path);
  } catch (error) {
    throw error instanceof Problem ? error : unreadable(shown, error, 'file');
  }
}

function unreadable(shown: string, error: unknown, what: string): Problem {
  const code = (error as NodeJS.ErrnoException).code;
  if (code === 'ENOENT')
    return new Problem('E_FILE', `${shown} does not exist`, {
      hint: "paths are relative to the playbook's folder",
    });
  if (code === 'ENOTDIR') return new Problem('E_FILE', `${shown} is no ${what}`);
  return new Problem('E_FILE', `${shown} can not be read (${code ?? String(error)})`);
}

function hash(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function remember<T>(map: Map<string, T>, key: string, make: () => T): T {
  let value = map.get(key);
  if (value === undefined) {
    value = make();
    map.set(key, value);
  }
  return value;
}
