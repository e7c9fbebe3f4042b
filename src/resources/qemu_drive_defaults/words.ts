import type { Habits } from '../../lib/habits.ts';
import type { Claim, Input } from '../kind.ts';
import type { QemuDriveDefaults } from './schema.ts';

export const qemuExample = `
- name: QEMU's drive defaults
  tags: qemu
  qemu_drive_defaults:
    queues: vcpus
    queue_size: 256
    cache: none
    aio: native
    discard: unmap
    disks:
      - { name: web1, source: /dev/vg/web1 }
    libvirt:
      domains: ["web*"]
`;

export const qemuHabits: Habits = {
  'num-queues': 'write queues',
  'queue-size': 'write queue_size',
  detect_zeroes: (value) =>
    typeof value === 'boolean' ? `write "${value ? 'on' : 'off'}" in quotes` : undefined,
  aio: (value) => (value === 'io-uring' || value === 'uring' ? 'write io_uring' : undefined),
};

/** A host has one profile, so each property is said once. */
export function qemuClaims({ desired }: Input<QemuDriveDefaults>): readonly Claim[] {
  const { absent_ok: _ask, ...profile } = desired;
  const said = desired.state === 'absent' ? { state: desired.state } : profile;
  return [
    {
      subject: "QEMU's drive defaults",
      says: Object.fromEntries(
        Object.entries(said)
          .filter(([, value]) => value !== undefined)
          .map(([key, value]) => [key, typeof value === 'string' ? value : JSON.stringify(value)]),
      ),
    },
  ];
}
