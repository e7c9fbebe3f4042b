import type { Habits } from '../../lib/habits.ts';
import type { Claim, Input } from '../kind.ts';
import { contentOf } from './desired.ts';
import type { FileDeclaration } from './schema.ts';

export const fileExample = `
- name: the limits of QEMU's own user
  file:
    path: /etc/security/limits.d/qemu.conf
    content: |
      qemu soft memlock {{ memlock | default: "unlimited" }}
    mode: "0644"
    owner: root
`;

const states: Readonly<Record<string, string>> = {
  touch: 'write content: "" for an empty file',
  present: 'write file',
  hard: 'only symlinks are made: link',
  symlink: 'write link',
  dir: 'write directory',
  folder: 'write directory',
};

export const fileHabits: Habits = {
  '': (value) => (typeof value === 'string' ? 'write a map: { path: …, content: … }' : undefined),
  dest: 'write path',
  name: 'write path',
  source: 'write src for a local file, template for one to render',
  contents: 'write content',
  text: 'write content',
  state: (value) => (typeof value === 'string' && Object.hasOwn(states, value) ? states[value] : undefined),
  src: (value) => (typeof value === 'string' ? 'for a link write target' : undefined),
  backup: 'the plan shows the difference; what was there is not kept on the host',
  force: 'a link or file in the way is replaced',
  remote_src: 'write a command: { argv: [cp, …], creates: … }',
  validate: 'write a command with unless: after it',
  follow: 'links are never followed',
};

/** What stands at its path; what is not declared may be said by another task. */
export function fileClaims(input: Input<FileDeclaration>): readonly Claim[] {
  const { path, state, target, mode, owner, group } = input.desired;
  const properties = {
    state,
    content: state === 'file' ? contentOf(input).sha256 : undefined,
    target,
    mode: mode?.padStart(4, '0'),
    owner,
    group,
  };
  const said = Object.entries(properties).filter(
    (entry): entry is [string, string] => entry[1] !== undefined,
  );
  return [{ subject: path, says: Object.fromEntries(said) }];
}
