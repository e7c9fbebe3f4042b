import { createHash } from 'node:crypto';
import { shellQuote, shellWords } from '../../lib/shell.ts';
import { printable } from '../../lib/terminal.ts';
import type { Input, Step } from '../kind.ts';
import { contentOf, folderOf, modeOf, octal, parentsOf } from './desired.ts';
import type { FileState } from './probe.ts';
import type { FileDeclaration } from './schema.ts';

/**
 * One step. Everything new is made whole in a private folder beside its place and gets there by one rename, so nobody
 * ever sees half of it, and no name that another user could plant is written through: the work is done inside folders
 * that were entered, not by paths.
 */
export function fileSteps(input: Input<FileDeclaration>, current: FileState): Step[] {
  const { desired } = input;
  const guard = guardScript(input, current);
  const title = `${desired.state === 'absent' ? 'remove' : 'write'} ${printable(desired.path)}`;
  if (desired.state === 'absent') return [{ title, guard, script: removal(desired) }];
  if (desired.state === 'directory' && current.type === 'directory')
    return [{ title, guard, script: enter(desired, true) + folderAttributes(desired, current) }];
  const payload = desired.state === 'file' ? contentOf(input) : null;
  return [
    {
      title,
      guard,
      script: enter(desired, true) + creation(input, current),
      ...(payload ? { payloads: [payload] } : {}),
    },
  ];
}

/** Goes to the folder of the path; links on the way must be root's or our own. */
function enter({ path }: FileDeclaration, needed: boolean): string {
  const folder = folderOf(path);
  const missing = `the folder ${folder} is not there: a task before this one has to make it`;
  return `file_die() { printf '%s\\n' "$1" >&2; exit 1; }
file_name=${shellQuote(`./${path.slice(path.lastIndexOf('/') + 1)}`)}
file_parents() {
  for file_c; do
    if [ -L "$file_c" ]; then
      file_u=$(stat -c %u -- "$file_c")
      case $file_u in 0|"$(id -u)") ;; *) file_die "$file_c is a link that user $file_u owns: not followed";; esac
    fi
  done
}
file_parents ${shellWords(parentsOf(path))}
${needed ? `cd -P -- ${shellQuote(folder)} 2>/dev/null || file_die ${shellQuote(missing)}` : `cd -P -- ${shellQuote(folder)} 2>/dev/null || exit 0`}
file_at=.
file_why() {
  for file_c in "$file_at" "$file_at/$file_name"; do
    case $(lsattr -d -- "$file_c" 2>/dev/null | cut -d' ' -f1) in
      *i*) file_die "$1: it is immutable (lsattr -d shows i); chattr -i, if it may change";;
    esac
  done
  file_die "$1"
}
`;
}

function creation(input: Input<FileDeclaration>, current: FileState): string {
  const { desired } = input;
  // Leftovers of a run that was killed have the same beginning; a name that only this path gives.
  const tag = createHash('sha256').update(desired.path).digest('hex').slice(0, 12);
  const shown = printable(desired.path);
  const make = {
    file: () => {
      const { sha256 } = contentOf(input);
      return `cat -- "$BF_PAYLOAD/${sha256}" > new || file_die ${shellQuote(`no space to write ${shown}`)}
file_sum=$(sha256sum < new)
[ "\${file_sum%% *}" = ${sha256} ] || file_die ${shellQuote(`${shown} was not written whole`)}
`;
    },
    directory: () => 'mkdir new\n',
    link: () => `ln -s -- ${shellQuote(desired.target!)} new\n`,
    absent: () => '',
  }[desired.state]();
  const keeps = current.type === desired.state;
  const mode = keeps && desired.mode === undefined ? current.mode : modeOf(desired);
  return `rm -rf -- ./.blkfleet-${tag}.*
file_tmp=$(mktemp -d ./.blkfleet-${tag}.XXXXXXXX 2>/dev/null) || file_why ${shellQuote(`can not write in the folder of ${shown}`)}
cd -P -- "$file_tmp"
file_at=..
case $(stat -c '%u %a' .) in "$(id -u) 700"|"$(id -u) 2700") ;; *) false;; esac || file_die 'the private folder was taken by somebody'
trap 'rm -rf ./new; cd .. && rmdir -- "$file_tmp" 2>/dev/null' EXIT
trap 'exit 143' HUP INT TERM
${make}${ownership(desired, keeps ? current : null, 'new')}${desired.state === 'link' ? '' : `chmod ${exactly(desired, mode)} new\n`}${
  desired.state === 'file' ? 'sync new 2>/dev/null || sync\n' : ''
}${
  desired.state === 'directory' && current.type === 'link'
    ? '[ ! -L "../$file_name" ] || rm -f -- "../$file_name"\n'
    : ''
}mv -T -f -- new "../$file_name" 2>/dev/null || file_why ${shellQuote(`can not put ${shown} in its place`)}
sync .. 2>/dev/null || :
${restoreLabel(desired.path)}`;
}

/** The folder itself is entered and compared before it is touched: a name could be swapped meanwhile, this can not. */
function folderAttributes(desired: FileDeclaration, current: FileState): string {
  const shown = printable(desired.path);
  return `file_id=$(stat -c '%F %d:%i' -- "$file_name")
cd -P -- "$file_name"
[ "$(stat -c '%F %d:%i' .)" = "$file_id" ] || file_die ${shellQuote(`${shown} was replaced meanwhile`)}
${ownership(desired, current, '.')}${desired.mode === undefined ? '' : `chmod ${exactly(desired, modeOf(desired))} . || file_why ${shellQuote(`can not change the mode of ${shown}`)}\n`}${restoreLabel(desired.path)}`;
}

/** Declared names, else those that were there, else none: what is new belongs to who runs this. */
function ownership(desired: FileDeclaration, current: FileState | null, name: string): string {
  const owner = desired.owner ?? (current ? String(current.uid) : '');
  const group = desired.group ?? (current ? String(current.gid) : '');
  if (owner === '' && group === '') return '';
  const both = group === '' ? owner : `${owner}:${group}`;
  return `chown -h -- ${shellQuote(both)} ${name} || file_die ${shellQuote(`can not give it to ${both}: is there such a user and group?`)}\n`;
}

/**
 * A mode for chmod. It leaves setuid and setgid of a folder alone for four digits, and sets just what is given for five;
 * a folder whose mode is not declared keeps the setgid that it gets from the one above.
 */
function exactly(desired: FileDeclaration, mode: number): string {
  return desired.mode === undefined ? octal(mode) : `0${octal(mode)}`;
}

function restoreLabel(path: string): string {
  return `if command -v restorecon >/dev/null 2>&1; then restorecon -F -- ${shellQuote(path)} 2>/dev/null || :; fi\n`;
}

function removal(desired: FileDeclaration): string {
  const shown = printable(desired.path);
  const folder = desired.recurse ? 'rm -rf --one-file-system --' : 'rmdir --';
  return `${enter(desired, false)}if [ -d "$file_name" ] && [ ! -L "$file_name" ]; then
  ${folder} "$file_name" || file_why ${shellQuote(`can not remove the folder ${shown}`)}
else
  rm -f -- "$file_name" 2>/dev/null || file_why ${shellQuote(`can not remove ${shown}`)}
fi
sync . 2>/dev/null || :
`;
}

/** True while the path is as it was planned from, or already as declared (a step that runs a second time). */
function guardScript(input: Input<FileDeclaration>, current: FileState): string {
  const word = shellQuote(input.desired.path);
  return `if ${asPlanned(word, current)}; then exit 0; fi
if ${asDeclared(word, input)}; then exit 0; fi
printf '%s\\n' ${shellQuote(`${printable(input.desired.path)} changed since it was planned`)} >&2
exit 1
`;
}

function asPlanned(word: string, current: FileState): string {
  if (current.type === 'missing') return `[ ! -e ${word} ] && [ ! -L ${word} ]`;
  const bits = { file: 0o10, directory: 0o4, link: 0o12, other: 0, missing: 0 }[current.type];
  const tests = [`[ -e ${word} ] || [ -L ${word} ]`];
  if (bits !== 0) {
    const raw = ((bits << 12) | current.mode).toString(16);
    tests.push(`[ "$(stat -c '%f %u %g' -- ${word})" = '${raw} ${current.uid} ${current.gid}' ]`);
  }
  if (current.sha256) tests.push(hashIs(word, current.sha256));
  else if (current.type === 'file')
    tests.push(`[ "$(stat -c '%s %Y' -- ${word})" = '${current.size} ${current.mtime}' ]`);
  if (current.target) tests.push(linkIs(word, current.target));
  return tests.map((test) => `{ ${test}; }`).join(' && ');
}

function asDeclared(word: string, input: Input<FileDeclaration>): string {
  const { desired } = input;
  const mode =
    desired.mode === undefined ? ':' : `[ "$(stat -c %a -- ${word})" = ${modeOf(desired).toString(8)} ]`;
  switch (desired.state) {
    case 'absent':
      return `[ ! -e ${word} ] && [ ! -L ${word} ]`;
    case 'link':
      return `[ -L ${word} ] && ${linkIs(word, Buffer.from(desired.target!))}`;
    case 'directory':
      return `[ -d ${word} ] && [ ! -L ${word} ] && ${mode}`;
    case 'file':
      return `[ -f ${word} ] && [ ! -L ${word} ] && ${mode} && ${hashIs(word, contentOf(input).sha256)}`;
  }
}

function hashIs(word: string, sha256: string): string {
  return `[ "$(sha256sum < ${word} | cut -c 1-64)" = ${sha256} ]`;
}

/** By hash: a link may hold bytes that no shell text can, and a newline at its end. */
function linkIs(word: string, target: Buffer): string {
  const hash = createHash('sha256').update(target).digest('hex');
  return `[ "$(readlink -n -- ${word} | sha256sum | cut -c 1-64)" = ${hash} ]`;
}
