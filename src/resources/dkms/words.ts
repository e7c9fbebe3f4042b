import type { Habits } from '../../lib/habits.ts';
import type { Claim, Input } from '../kind.ts';
import { nameOf, packageOf } from './package.ts';
import type { DkmsDesired } from './schema.ts';

export const dkmsExample = `
- name: vhost_blk built for every kernel
  dkms:
    source: [../dkms/vhost-blk, ../kmod/vhost_blk]
`;

export const dkmsHabits: Habits = {
  '': (value) => (typeof value === 'string' ? 'write { source: FOLDER }' : undefined),
  src: 'write source',
  path: 'write source',
  version: 'the version is that of the dkms.conf in source',
  kernel: 'it is built for every installed kernel that has headers',
};

/** One source of a package, unless other versions are kept beside it. */
export function dkmsClaims(input: Input<DkmsDesired>): readonly Claim[] {
  const { state, keep_old: keepOld } = input.desired;
  const found = packageOf(input);
  return [
    {
      subject: `dkms package ${nameOf(input)}`,
      says: { state, ...(state === 'present' && found && !keepOld ? { source: found.sha256 } : {}) },
    },
  ];
}
