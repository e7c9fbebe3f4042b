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
  src: 'write image',
  readonly: 'write read_only: true or false',
  ro: 'write read_only: true or false',
  backing: 'the image itself tells its backing file; base names folders in which it may lie',
  cache: 'write cache_kib, in KiB',
  persistent: 'write boot: true or false',
  enabled: 'write boot: true or false',
};

/** One device has one name, and one image, whatever the name is, is written by one device. */
export function deviceClaims({ desired }: Input<Qcow2DeviceDesired>): readonly Claim[] {
  const { name, state, image, read_only, base, cache_kib, boot } = desired;
  const subject = `device ${name}`;
  if (state === 'absent') return [{ subject, says: { state } }];
  const says = {
    state,
    image: image!,
    read_only: String(read_only),
    base: base.join(':') || 'none',
    cache_kib: String(cache_kib),
    boot: String(boot),
  };
  return [{ subject, says }, ...(read_only ? [] : [{ subject: `image ${image}`, says: { device: name } }])];
}
