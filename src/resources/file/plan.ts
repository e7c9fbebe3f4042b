import { lineDiff } from '../../lib/line-diff.ts';
import { printable } from '../../lib/terminal.ts';
import type { Change, Input, ResourcePlan } from '../kind.ts';
import { contentOf, folderOf, modeOf, octal } from './desired.ts';
import type { FileState } from './probe.ts';
import type { FileDeclaration } from './schema.ts';

const words = {
  missing: 'nothing',
  file: 'a file',
  directory: 'a folder',
  link: 'a link',
  other: 'a special file',
};

/** What differs between a declared file, folder or link and what stands there. */
export function planFile(input: Input<FileDeclaration>, current: FileState): ResourcePlan {
  const { desired } = input;
  const { path, state } = desired;
  if (current.unsafeParent)
    return blocked(
      `${printable(current.unsafeParent.path)} on the way to ${printable(path)} is a link that user ${current.unsafeParent.uid} owns`,
      'that user could point it anywhere; name the real folder, or give the link to root',
    );
  const warnings =
    current.folderMissing && state !== 'absent'
      ? [`the folder ${printable(folderOf(path))} is not there yet: a task before this one has to make it`]
      : undefined;
  const answer = state === 'absent' ? planAbsent(desired, current) : planPresent(input, current);
  return warnings && answer.status === 'change' ? { ...answer, warnings } : answer;
}

function planAbsent({ path, recurse }: FileDeclaration, current: FileState): ResourcePlan {
  if (current.type === 'missing') return { status: 'ok', reason: 'it is not there' };
  if (current.type === 'directory' && !recurse && !current.empty)
    return blocked(
      `the folder ${printable(path)} is not empty`,
      'set recurse: true to remove it with all in it',
    );
  return {
    status: 'change',
    changes: [
      {
        path,
        from: describe(current),
        to: null,
        action: '-',
        ...(current.type === 'directory' && recurse ? { reason: 'with all that is in it' } : {}),
      },
    ],
  };
}

function planPresent(input: Input<FileDeclaration>, current: FileState): ResourcePlan {
  const { desired } = input;
  const { path, state } = desired;
  if (current.type === 'missing') return { status: 'change', changes: [creation(input)] };
  const wanted = state === 'directory' ? 'directory' : state === 'link' ? 'link' : 'file';
  if (current.type !== wanted) {
    // A link holds nothing, so it can be replaced; so can a file by a link. Anything else would destroy what is inside.
    if (current.type === 'link' || (current.type === 'file' && wanted === 'link'))
      return { status: 'change', changes: [replacement(input, current)] };
    return blocked(
      `${words[current.type]} stands at ${printable(path)}, where ${words[wanted]} is declared`,
      'look at it; remove it by a task with state: absent before this one',
    );
  }
  const changes: Change[] = [];
  if (wanted === 'file') {
    const content = contentChange(input, current);
    if (content) changes.push(content);
  }
  if (wanted === 'link') {
    const target = current.target!.toString('utf8');
    if (!current.target!.equals(Buffer.from(desired.target!)))
      changes.push({ path: `${path} target`, from: target, to: desired.target!, action: '~' });
  } else if (desired.mode !== undefined && current.mode !== modeOf(desired))
    changes.push({
      path: `${path} mode`,
      from: octal(current.mode),
      to: octal(modeOf(desired)),
      action: '~',
    });
  for (const [key, name, id] of [
    ['owner', current.owner, current.uid],
    ['group', current.group, current.gid],
  ] as const) {
    const declared = desired[key];
    if (declared === undefined || declared === name || declared === String(id)) continue;
    changes.push({
      path: `${path} ${key}`,
      from: name === 'UNKNOWN' ? String(id) : name,
      to: declared,
      action: '~',
    });
  }
  if (changes.length > 0) return { status: 'change', changes };
  return {
    status: 'ok',
    reason:
      wanted === 'file'
        ? 'its content is as declared'
        : wanted === 'link'
          ? 'it points there'
          : 'it is there',
  };
}

function creation(input: Input<FileDeclaration>): Change {
  const { path, state, target } = input.desired;
  if (state !== 'file')
    return { path, from: null, to: declared(input.desired), action: '+', ...reasonFor(target) };
  const { bytes } = contentOf(input);
  const diff = shownDiff(input, Buffer.alloc(0));
  return {
    path,
    from: null,
    to: `${declared(input.desired)}, ${bytes.length} bytes`,
    action: '+',
    ...(diff ? { diff } : { reason: input.desired.diff === false ? HIDDEN : 'binary content, not shown' }),
  };
}

const HIDDEN = 'its lines are not shown (diff: false)';

/** Lines of the file that is declared, against `from`; none where it is binary or must not be seen. */
function shownDiff(input: Input<FileDeclaration>, from: Buffer): string | undefined {
  if (input.desired.diff === false) return undefined;
  return lineDiff(input.desired.path, from, contentOf(input).bytes);
}

function reasonFor(target: string | undefined): { reason?: string } {
  return target === undefined ? {} : { reason: 'it is not there' };
}

function replacement(input: Input<FileDeclaration>, current: FileState): Change {
  const { path, state } = input.desired;
  const diff = state === 'file' ? shownDiff(input, Buffer.alloc(0)) : undefined;
  const reason =
    current.type === 'link'
      ? 'a link stands in its place: it is replaced, what it points to is left alone'
      : 'a file stands in its place: its content will be gone';
  return {
    path,
    from: describe(current),
    to: declared(input.desired),
    action: '±',
    reason,
    ...(diff ? { diff } : {}),
  };
}

/** By hash; a short secret could be found from its hash, so of what must not be seen only the size is told. */
function contentName(input: Input<FileDeclaration>, sha256: string | null, size: number): string {
  return sha256 && input.desired.diff !== false
    ? `sha256:${sha256.slice(0, 12)}, ${size} bytes`
    : `${size} bytes`;
}

function contentChange(input: Input<FileDeclaration>, current: FileState): Change | null {
  const { path } = input.desired;
  const { sha256, bytes } = contentOf(input);
  if (current.sha256 === sha256) return null;
  const diff = current.content ? shownDiff(input, current.content) : undefined;
  const why =
    input.desired.diff === false
      ? HIDDEN
      : current.sha256 === null
        ? 'it is too large to compare, or can not be read'
        : current.content
          ? 'binary content, not shown'
          : 'too large to show';
  return {
    path: `${path} content`,
    from: contentName(input, current.sha256, current.size),
    to: contentName(input, sha256, bytes.length),
    action: '~',
    ...(diff ? { diff } : { reason: why }),
  };
}

function declared(desired: FileDeclaration): string {
  if (desired.state === 'link') return `link to ${desired.target}`;
  const owner = [desired.owner, desired.group].filter((name) => name !== undefined).join(':');
  return `${desired.state === 'directory' ? 'folder' : 'file'} ${octal(modeOf(desired))}${owner && ` ${owner}`}`;
}

function describe(current: FileState): string {
  if (current.type === 'link') return `link to ${current.target!.toString('utf8')}`;
  const name = { missing: '', file: 'file', directory: 'folder', other: 'special file' }[current.type];
  return `${name} ${octal(current.mode)} ${current.owner}:${current.group}`;
}

function blocked(message: string, hint: string): ResourcePlan {
  return { status: 'blocked', code: 'E_BLOCKED', message, hint };
}
