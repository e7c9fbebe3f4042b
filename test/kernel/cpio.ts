const HEADER_FIELDS = 13;
const TYPE_FILE = 0o100000;
const TYPE_FOLDER = 0o040000;
const TYPE_LINK = 0o120000;

/** One member of an archive; paths are relative and need no entries for the folders above them. */
export type CpioEntry =
  | { path: string; mode: number; data: Uint8Array }
  | { path: string; link: string }
  | { path: string; folder: true };

/**
 * Writes the `newc` archive that the kernel unpacks as its initramfs (Documentation/driver-api/early-userspace).
 * @param entries members in any order; folders above a member are added once, before it
 * @returns the archive; equal entries give equal bytes (no times, no owners)
 */
export function cpioArchive(entries: readonly CpioEntry[]): Buffer {
  const parts: Buffer[] = [];
  const folders = new Set<string>();
  let inode = 1;

  const member = (path: string, mode: number, data: Uint8Array) => {
    parts.push(header(path, inode++, mode, data.length), pad(Buffer.from(`${path}\0`), 110), pad(data, 0));
  };
  const folder = (path: string) => {
    if (path === '' || path === '.' || folders.has(path)) return;
    folder(path.split('/').slice(0, -1).join('/'));
    folders.add(path);
    member(path, TYPE_FOLDER | 0o755, Buffer.alloc(0));
  };
  for (const entry of entries) {
    const path = entry.path.replace(/^\/+/, '');
    if ('folder' in entry) {
      folder(path);
      continue;
    }
    folder(path.split('/').slice(0, -1).join('/'));
    if ('link' in entry) member(path, TYPE_LINK | 0o777, Buffer.from(entry.link));
    else member(path, TYPE_FILE | entry.mode, entry.data);
  }
  member('TRAILER!!!', 0, Buffer.alloc(0));
  return Buffer.concat(parts);
}

function header(path: string, inode: number, mode: number, size: number): Buffer {
  const fields = new Array<number>(HEADER_FIELDS).fill(0);
  fields[0] = inode;
  fields[1] = mode;
  fields[4] = 1;
  fields[6] = size;
  fields[11] = Buffer.byteLength(path) + 1;
  return Buffer.from(`070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}`);
}

/** Fills up to a multiple of four, counted with the @before bytes in front. */
function pad(data: Uint8Array, before: number): Buffer {
  const rest = (before + data.length) % 4;
  return Buffer.concat([data, Buffer.alloc(rest === 0 ? 0 : 4 - rest)]);
}
