import { isUtf8 } from 'node:buffer';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { didYouMean } from '../lib/nearest.ts';
import type { Asset, AssetFile, AssetRequest } from '../resources/kind.ts';
import { Problem } from './problem.ts';
import { compileTemplate, type Lookup, type Template } from './template.ts';

/** Largest file, template and folder (in sum); most files of a folder, and how deep they may lie. */
const maxFileBytes = 32 * 1024 * 1024;
const maxTemplateBytes = 1024 * 1024;
const maxFolderBytes = 64 * 1024 * 1024;
const maxFolderFiles = 5000;
const maxFolderDepth = 32;

interface TemplateFile {
  template: Template;
  /** for positions: lines of the file */
  text: string;
  shown: string;
}

/** Reads the files that tasks name, each once; equal contents are one object for all hosts. */
export class AssetStore {
  readonly #folder: string;
  readonly #raw = new Map<string, Asset | Problem>();
  readonly #folders = new Map<string, Asset | Problem>();
  readonly #templates = new Map<string, TemplateFile | Problem>();
  readonly #contents = new Map<string, Asset>();

  /** @param folder absolute; paths of requests are relative to it */
  constructor(folder: string) {
    this.#folder = folder;
  }

  /**
   * @param variables what a template may use
   * @throws Problem E_FILE without a place, for what can not be read; E_TEMPLATE and others in a template file, with one;
   *   UnknownYet
   */
  load(request: AssetRequest, variables: Lookup): Asset {
    const path = resolve(this.#folder, request.path);
    if (request.how === 'folder') return once(this.#folders, path, () => this.#readFolder(path));
    if (request.how === 'raw')
      return once(this.#raw, path, () => this.#asset(readRegular(path, this.#shown(path), maxFileBytes)));
    const { template, text, shown } = once(this.#templates, path, () => this.#readTemplate(path));
    try {
      return this.#asset(Buffer.from(String(template.render(variables, false))));
    } catch (error) {
      throw inTemplate(error, shown, text);
    }
  }

  #readTemplate(path: string): TemplateFile {
    const shown = this.#shown(path);
    const bytes = readRegular(path, shown, maxTemplateBytes);
    if (!isUtf8(bytes))
      throw new Problem('E_FILE', `${shown} is no UTF-8 text, so it can not be a template`, {
        hint: 'src: puts a file there as it is',
      });
    const text = bytes.toString('utf8');
    try {
      return { template: compileTemplate(text), text, shown };
    } catch (error) {
      throw inTemplate(error, shown, text);
    }
  }

  #readFolder(root: string): Asset {
    const files: AssetFile[] = [];
    let total = 0;
    const walk = (folder: string, depth: number) => {
      if (depth > maxFolderDepth)
        throw new Problem('E_FILE', `${this.#shown(root)} is nested deeper than ${maxFolderDepth} folders`);
      for (const entry of readEntries(folder, this.#shown(folder))) {
        // What version control keeps beside the files is no content of the folder.
        if (entry.name === '.git') continue;
        const path = join(folder, entry.name);
        const shown = this.#shown(path);
        if (entry.isDirectory()) {
          walk(path, depth + 1);
          continue;
        }
        if (!entry.isFile())
          throw new Problem(
            'E_FILE',
            `${shown} is ${entry.isSymbolicLink() ? 'a symlink' : 'no regular file'}`,
            {
              hint: 'a folder that is sent to hosts may hold files and folders only',
            },
          );
        const bytes = readRegular(path, shown, maxFileBytes);
        total += bytes.length;
        if (files.length >= maxFolderFiles || total > maxFolderBytes)
          throw new Problem('E_FILE', `${this.#shown(root)} has more than ${maxFolderFiles} files or 64 MiB`);
        // Modes of a checkout differ by umask: only whether it can be run is kept.
        const mode = statSync(path).mode & 0o111 ? 0o755 : 0o644;
        files.push({ path: relative(root, path), mode, bytes, sha256: sha256(bytes) });
      }
    };
    walk(root, 0);
    files.sort((a, b) => Buffer.compare(Buffer.from(a.path), Buffer.from(b.path)));
    const hash = sha256(Buffer.from(files.map((file) => `${file.sha256}  ${file.path}\n`).join('')));
    return { sha256: hash, files };
  }

  #asset(bytes: Buffer): Asset {
    const hash = sha256(bytes);
    let asset = this.#contents.get(hash);
    if (asset === undefined) {
      asset = { sha256: hash, bytes };
      this.#contents.set(hash, asset);
    }
    return asset;
  }

  /** A path as the operator sees it: from the current folder where it lies below, else absolute. */
  #shown(path: string): string {
    const fromHere = relative(process.cwd(), path);
    return fromHere.startsWith('../../..') || fromHere === '' ? path : fromHere;
  }
}

/** Does the work once a path; also a failure is kept, so that 500 hosts do not try 500 times. */
function once<T>(known: Map<string, T | Problem>, path: string, work: () => T): T {
  let result = known.get(path);
  if (result === undefined) {
    try {
      result = work();
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      result = error;
    }
    known.set(path, result);
  }
  if (result instanceof Problem) throw result.copy();
  return result;
}

function readRegular(path: string, shown: string, limit: number): Buffer {
  try {
    const stat = statSync(path);
    if (!stat.isFile())
      throw new Problem('E_FILE', `${shown} is ${stat.isDirectory() ? 'a folder' : 'no regular file'}`);
    if (stat.size > limit)
      throw new Problem('E_FILE', `${shown} has ${stat.size} bytes; at most ${limit} can be sent`);
    return readFileSync(path);
  } catch (error) {
    throw error instanceof Problem ? error : unreadable(error, path, shown);
  }
}

function readEntries(folder: string, shown: string) {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOTDIR')
      throw new Problem('E_FILE', `${shown} is a file; a folder is needed here`);
    throw unreadable(error, folder, shown);
  }
}

function unreadable(error: unknown, path: string, shown: string): Problem {
  const code = (error as NodeJS.ErrnoException).code;
  if (code === 'ENOENT' || code === 'ENOTDIR')
    return new Problem('E_FILE', `${shown} does not exist`, { hint: sibling(path) });
  if (code === 'EACCES') return new Problem('E_FILE', `${shown} is not readable for you`);
  return new Problem('E_FILE', `${shown} can not be read (${code ?? String(error)})`);
}

function sibling(path: string): string {
  try {
    const near = didYouMean(basename(path), readdirSync(dirname(path)));
    if (near !== undefined) return near;
  } catch {
    // The folder is missing too; the general hint says where paths begin.
  }
  return "paths are relative to the playbook's folder";
}

function inTemplate(error: unknown, shown: string, text: string): unknown {
  if (!(error instanceof Problem)) return error;
  return error.placed({ template: shown, lineOf: (offset) => lineOf(text, offset) });
}

function lineOf(text: string, offset: number): { line: number; col: number; excerpt: string } {
  const before = text.slice(0, offset).split('\n');
  return {
    line: before.length,
    col: before.at(-1)!.length + 1,
    excerpt: text.split('\n')[before.length - 1]?.replace(/\r$/, '') ?? '',
  };
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}
