/** One file of a package as it stands on every host. */
export interface PackageFile {
  path: string;
  /** 0o644 or 0o755 */
  mode: number;
  bytes: Buffer;
  sha256: string;
}

const BLOCK = 512;

/**
 * A POSIX ustar archive that depends on names, modes and contents alone: folders first, byte order, owner 0:0, time 0.
 * @param files in byte order of their paths, with `/`, no `..`
 * @throws RangeError where a path does not fit ustar's 100 + 155 bytes
 */
export function tarOf(files: readonly PackageFile[]): Buffer {
  const blocks: Buffer[] = [];
  for (const folder of foldersOf(files)) blocks.push(header(`${folder}/`, 0o755, 0, '5'));
  for (const file of files) {
    blocks.push(header(file.path, file.mode, file.bytes.length, '0'), file.bytes);
    const rest = file.bytes.length % BLOCK;
    if (rest > 0) blocks.push(Buffer.alloc(BLOCK - rest));
  }
  blocks.push(Buffer.alloc(2 * BLOCK));
  return Buffer.concat(blocks);
}

/** All folders that the paths name, parents before children. */
export function foldersOf(files: readonly PackageFile[]): string[] {
  const folders = new Set<string>();
  for (const { path } of files)
    for (let i = path.indexOf('/'); i >= 0; i = path.indexOf('/', i + 1)) folders.add(path.slice(0, i));
  return [...folders].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
}

function header(path: string, mode: number, size: number, type: '0' | '5'): Buffer {
  const block = Buffer.alloc(BLOCK);
  const [prefix, name] = splitPath(path);
  block.write(name, 0, 100);
  block.write(octal(mode, 7), 100);
  block.write(octal(0, 7), 108);
  block.write(octal(0, 7), 116);
  block.write(octal(size, 11), 124);
  block.write(octal(0, 11), 136);
  block.write('        ', 148);
  block.write(type, 156);
  block.write('ustar\u000000', 257);
  block.write(prefix, 345, 155);
  // Six octal digits, NUL, space: the sum of the header with its own field blank.
  block.write(
    `${octal(
      block.reduce((sum, byte) => sum + byte, 0),
      6,
    )}\0 `,
    148,
  );
  return block;
}

function splitPath(path: string): [prefix: string, name: string] {
  if (Buffer.byteLength(path) <= 100) return ['', path];
  for (let i = path.indexOf('/'); i >= 0; i = path.indexOf('/', i + 1)) {
    const [prefix, name] = [path.slice(0, i), path.slice(i + 1)];
    if (name !== '' && Buffer.byteLength(name) <= 100 && Buffer.byteLength(prefix) <= 155)
      return [prefix, name];
  }
  throw new RangeError(`the path is too long for a tar archive: ${path}`);
}

function octal(value: number, digits: number): string {
  return value.toString(8).padStart(digits, '0');
}
