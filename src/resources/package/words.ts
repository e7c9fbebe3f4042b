import type { Habits } from '../../lib/habits.ts';
import type { Claim, Input } from '../kind.ts';
import { toRequest } from './manager.ts';
import type { PackageDeclaration } from './schema.ts';

export const packageExample = `
- name: tools to build modules, and no telnet server
  loop:
    - { names: [dkms, gcc, make], state: present }
    - { names: [telnetd], state: absent }
  package:
    names: "{{ item.names }}"
    state: "{{ item.state }}"
`;

const keepUp =
  'present leaves the version alone; to bring packages up to date is left to the host (unattended-upgrades)';

export const packageHabits: Habits = {
  '': (value) =>
    typeof value === 'string'
      ? `write { name: ${value} }`
      : Array.isArray(value)
        ? `write { names: [${value.join(', ')}] }`
        : undefined,
  name: (value) => (Array.isArray(value) ? `write names: [${value.join(', ')}]` : undefined),
  pkg: 'write name, or names with a list',
  package: 'write name, or names with a list',
  state: (value) =>
    value === 'latest'
      ? keepUp
      : value === 'installed'
        ? 'write present'
        : value === 'removed'
          ? 'write absent'
          : undefined,
  update_cache: 'lists are brought up to date by themselves where a package is not known yet',
  install_recommends: 'write recommends',
  autoremove: 'only what is named is removed',
  purge: 'absent keeps the configuration',
  version: 'a package is present in whatever version the host has',
};

/** One claim a package. */
export function packageClaims({ desired }: Input<PackageDeclaration>): readonly Claim[] {
  const { names, present } = toRequest(desired);
  return names.map((name) => ({
    subject: `package ${name}`,
    says: { state: present ? 'present' : 'absent' },
  }));
}
