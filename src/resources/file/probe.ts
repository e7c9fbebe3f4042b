import { createHash } from 'node:crypto';
import { FleetError } from '../../lib/errors.ts';
import { shellQuote, shellWords } from '../../lib/shell.ts';
import type { Input } from '../kind.ts';
import { contentOf, folderOf, parentsOf } from './desired.ts';
import type { FileDeclaration } from './schema.ts';

/** Contents above this are neither fetched nor shown, in bytes; all that is fetched from a host together. */
const MAX_CONTENT = 256 * 1024;
const MAX_FETCHED = 1024 * 1024;
/** Above this, and above what is declared, a file is told apart by its size and time instead of its hash. */
const MAX_HASHED = 64 * 1024 * 1024;

/** Paths that stat(1) prints as they are, and a shell pattern takes as they are. */
const PLAIN = /^[A-Za-z0-9/._+@%:,=-]+$/;

export type FileType = 'missing' | 'file' | 'directory' | 'link' | 'other';

/** What stands at a path, never through a link. */
export interface FileState {
  type: FileType;
  /** permission bits, 07777 */
  mode: number;
  uid: number;
  gid: number;
  /** names, 'UNKNOWN' where the host has none */
  owner: string;
  group: string;
  size: number;
  /** seconds since the epoch */
  mtime: number;
  /** of a regular file up to 64 MiB, or the declared size, that could be read */
  sha256: string | null;
  /** only where it differs from what is declared, and is small */
  content: Buffer | null;
  /** of a link, as it stands there */
  target: Buffer | null;
  /** a folder with nothing in it */
  empty: boolean;
  folderMissing: boolean;
  /** a folder above it is a link of a user who is neither root nor ourselves */
  unsafeParent: { path: string; uid: number } | null;
}

/**
 * One `stat` and one `sha256sum` for all; contents by one `head` each, only where the hash differs from what is declared.
 * A link's target comes with its `stat`, or by `readlink` where it holds odd characters.
 * Which paths exist is found by the shell itself, so that answers and paths stand in the same order.
 */
export function probeFiles(inputs: readonly Input<FileDeclaration>[]): string {
  const paths = inputs.map(({ desired }) => shellQuote(desired.path));
  const collect = (test: (index: number) => string | null) =>
    paths
      .map((path, index) => {
        const condition = test(index);
        return condition && `if ${condition}; then set -- "$@" ${path}; file_i="$file_i ${index}"; fi\n`;
      })
      .filter(Boolean)
      .join('');
  const existing = collect((index) => `[ -e ${paths[index]} ] || [ -L ${paths[index]} ]`);
  const hashed = collect((index) => {
    const input = inputs[index]!;
    if (input.desired.state !== 'file') return null;
    // One that is larger than both differs by its size alone.
    const limit = Math.max(MAX_HASHED, contentOf(input).bytes.length);
    return `[ -f ${paths[index]} ] && [ ! -L ${paths[index]} ] && [ -r ${paths[index]} ] && file_upto ${limit} $file_s${index}`;
  });
  // With names a line ends in ` PATH -> TARGET` for a link, every odd character of it escaped by a backslash.
  const names = inputs.some(({ desired }) => desired.state === 'link');
  return `file_upto() { [ "\${7:-0}" -le "$1" ]; }
file_take() { file_v=$1 file_o=$2; shift 2; IFS=$bf_n; set -f
for file_l in $file_o; do if [ $# -gt 0 ]; then eval "$file_v$1=\\\${file_l%% /*} file_n$1=\\$file_l"; shift; fi; done
IFS=$file_ifs; set +f
}
file_parents() { file_d=0
for file_c; do
if [ -L "$file_c" ]; then file_u=$(stat -c %u -- "$file_c")
case $file_u in 0|"$(id -u)") ;; *) file_a="$file_a\${bf_n}parent $file_d $file_u";; esac; fi
file_d=$((file_d + 1)); done
}
file_ifs=$IFS
file_probe() { file_i=; set --
${existing}if [ $# -gt 0 ]; then file_o=$(${names ? 'QUOTING_STYLE=escape ' : ''}stat -c '%f %u %g %U %G %s %Y${names ? ' %N' : ''}' -- "$@" 2>/dev/null)
file_take file_s "$file_o" $file_i
fi
file_i=; set --
${hashed}if [ $# -gt 0 ]; then file_o=$(sha256sum -- "$@" 2>/dev/null)
file_take file_h "$file_o" $file_i
fi
file_left=${MAX_FETCHED}
${inputs.map(probeOne).join('')}}
${inputs.map((_input, index) => `file_s${index}= file_h${index}= file_n${index}=`).join(' ')}
file_probe
`;
}

function probeOne(input: Input<FileDeclaration>, index: number): string {
  const { path, state, recurse } = input.desired;
  const word = shellQuote(path);
  const lines = [
    `if [ -n "$file_s${index}" ]; then file_a="stat $file_s${index}"; elif [ -e ${word} ] || [ -L ${word} ]; then file_a=raced; else file_a=missing; fi`,
    `[ -d ${shellQuote(folderOf(path))} ] || file_a="$file_a\${bf_n}nofolder"`,
  ];
  const parents = parentsOf(path);
  if (parents.length > 0) lines.push(`file_parents ${shellWords(parents)}`);
  if (state === 'absent' && !recurse)
    lines.push(
      `if [ -d ${word} ] && [ ! -L ${word} ]; then file_e=1; for file_c in ${word}/* ${word}/.[!.]* ${word}/..?*; do if [ -e "$file_c" ] || [ -L "$file_c" ]; then file_e=0; break; fi; done; file_a="$file_a\${bf_n}empty $file_e"; fi`,
    );
  // The last part of a frame is raw, and by a command.
  const raw = (name: string, shell: string) =>
    `bf_b ${index}; printf '%s\\n${name}\\n' "$file_a"; ${shell}; bf_e ${index} 0`;
  const readLink = raw('target', `readlink -n -- ${word}`);
  lines.push(
    `if [ -L ${word} ]; then`,
    state === 'link' && PLAIN.test(path)
      ? `case $file_n${index} in *\\\\*) ${readLink};; *' ${path} -> '*) bf_f ${index} "$file_a\${bf_n}target$bf_n\${file_n${index}#*' ${path} -> '}";; *) ${readLink};; esac`
      : readLink,
  );
  if (state === 'file')
    lines.push(
      `else file_h=\${file_h${index}%% *}; file_h=\${file_h#\\\\}`,
      `[ -z "$file_h" ] || file_a="$file_a\${bf_n}sha256 $file_h"`,
      // What must not be shown does not travel.
      `if ${input.desired.diff === false ? 'false && ' : ''}[ -n "$file_h" ] && [ -n "$file_s${index}" ] && [ "$file_h" != ${contentOf(input).sha256} ] && file_upto ${MAX_CONTENT} $file_s${index} && file_upto $file_left $file_s${index}; then`,
      `set -- $file_s${index}; file_left=$((file_left - $6))`,
      raw('content', `head -c ${MAX_CONTENT} -- ${word}`),
      `else bf_f ${index} "$file_a"; fi; fi\n`,
    );
  else lines.push(`else bf_f ${index} "$file_a"; fi\n`);
  return lines.join('\n');
}

const STAT = /^stat ([0-9a-f]{1,8}) (\d{1,10}) (\d{1,10}) (\S{1,64}) (\S{1,64}) (\d{1,18}) (-?\d{1,18})$/;
// The high bits of st_mode: S_IFREG, S_IFDIR, S_IFLNK.
const types: Readonly<Record<number, FileType>> = { 8: 'file', 4: 'directory', 10: 'link' };

function takeStat(state: FileState, line: string): boolean {
  const stat = STAT.exec(line);
  if (!stat) return false;
  const raw = Number.parseInt(stat[1]!, 16);
  state.type = types[raw >> 12] ?? 'other';
  state.mode = raw & 0o7777;
  state.uid = Number(stat[2]);
  state.gid = Number(stat[3]);
  state.owner = stat[4]!;
  state.group = stat[5]!;
  state.size = Number(stat[6]);
  state.mtime = Number(stat[7]);
  return true;
}

/** @throws FleetError E_PROBE when the host's answer makes no sense */
export function parseFile(output: Buffer, { desired }: Input<FileDeclaration>): FileState {
  const state: FileState = {
    type: 'missing',
    mode: 0,
    uid: 0,
    gid: 0,
    owner: '',
    group: '',
    size: 0,
    mtime: 0,
    sha256: null,
    content: null,
    target: null,
    empty: false,
    folderMissing: false,
    unsafeParent: null,
  };
  let answered = false;
  for (let at = 0; at < output.length; ) {
    const newline = output.indexOf(0x0a, at);
    const end = newline < 0 ? output.length : newline;
    const line = output.toString('latin1', at, Math.min(end, at + 256));
    const [word, first = '', second = ''] = line.split(' ', 3);
    at = end + 1;
    if (line === 'missing' || takeStat(state, line)) answered = true;
    else if (line === 'nofolder') state.folderMissing = true;
    else if (word === 'parent' && /^\d{1,4} \d{1,10}$/.test(`${first} ${second}`))
      state.unsafeParent = { path: parentsOf(desired.path)[Number(first)] ?? '', uid: Number(second) };
    else if (word === 'empty') state.empty = first === '1';
    else if (word === 'sha256' && /^[0-9a-f]{64}$/.test(first)) state.sha256 = first;
    else {
      // The last part is raw, to the end of the frame.
      if (line === 'content') state.content = output.subarray(at);
      if (line === 'target') state.target = output.subarray(at);
      break;
    }
  }
  const sensible =
    answered && (state.content?.length ?? 0) <= MAX_CONTENT && (state.target?.length ?? 0) <= 4096;
  // A file that changed while it was read would be planned from two versions of it.
  const whole =
    state.content === null || createHash('sha256').update(state.content).digest('hex') === state.sha256;
  if (!sensible || !whole || (state.type === 'link' && state.target === null))
    throw new FleetError({
      code: 'E_PROBE',
      message: `the host did not answer what stands at ${desired.path}, or it changed meanwhile`,
      hint: 'run it again; with -vv to see what the host printed',
    });
  return state;
}
