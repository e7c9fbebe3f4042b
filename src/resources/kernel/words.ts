import type { Habits } from '../../lib/habits.ts';

export const kernelExample = `
- name: a kernel that vhost_blk supports, with headers
  kernel:
    release: ">=5.10"
    headers: installed
    lockdown: [none, integrity]
`;

export const kernelHabits: Habits = {
  '': (value) => (typeof value === 'string' ? `write { release: "${value}" }` : undefined),
  version: 'write release, a semver range such as ">=5.10"',
  headers: (value) => (typeof value === 'boolean' ? `write ${value ? 'installed' : 'none'}` : undefined),
  secure_boot: (value) => (typeof value === 'boolean' ? 'write "off" in quotes, or any' : undefined),
};
