import type { Habits } from '../../lib/habits.ts';
import type { Claim, Input } from '../kind.ts';
import type { Qcow2DeviceDesired } from './schema.ts';

export const qcow2DeviceExample = `
- name: the database's disk
  qcow2_device:
    name: db
    image: /srv/images/db.qcow2
    base: [/srv/golden]
`;

export const qcow2DeviceHabits: Habits = {
  state: (value) =>
    value === 'attached' ? 'write present' : value === 'detached' ? 'write absent' : undefined,
  path: 'write image',
  file: 'write image',
  ro: 'write read_only',
  readonly: 'write read_only',
  enabled: 'write boot: true or false',
  persistent: 'write boot: true or false',
  format: 'the image tells its format and that of the files below it',
  backing_file: 'the image names it; base allows its folder',
};

export function deviceClaims({ desired }: Input<Qcow2DeviceDesired>): readonly Claim[] {
  const { name, state, image, read_only, base, cache_kib, boot } = desired;
  const subject = `device /dev/mapper/${name}`;
  if (state === 'absent') return [{ subject, says: { state } }];
  return [
    {
      subject,
      says: {
        state,
        image: image!,
        read_only: String(read_only),
        base: base.join(' ') || 'none',
        cache_kib: String(cache_kib),
        boot: String(boot),
      },
    },
  ];
}
