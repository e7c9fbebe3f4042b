import { describe, expect, it } from 'vitest';
import { managerFiles, splitManager } from '../../../../src/resources/qemu_drive_defaults/managers/files.ts';
import { planManagers } from '../../../../src/resources/qemu_drive_defaults/managers/plan.ts';
import { parseManagers } from '../../../../src/resources/qemu_drive_defaults/managers/probe.ts';
import { qemuDriveDefaultsSchema } from '../../../../src/resources/qemu_drive_defaults/schema.ts';
import type { SplitConf } from '../../../../src/resources/qemu_drive_defaults/section.ts';

const profile = qemuDriveDefaultsSchema.parse({ discard: 'ignore' });
const absent = qemuDriveDefaultsSchema.parse({ state: 'absent' });
const split = (text: string | null) => splitManager(text) as SplitConf;
const line = (index: number, text: string | null) =>
  `file ${index} ${text === null ? 'none' : Buffer.from(text, 'latin1').toString('base64')}`;

describe("managers' files", () => {
  const cases: [number, string | null, RegExp][] = [
    [0, null, /\[libvirt\]\ndisk_cachemodes = file=none,block=none\nhw_disk_discard = ignore\n/],
    [
      1,
      '# \xe9\n#DEFAULT_ATTACH_CACHE=none\n',
      /\nDEFAULT_ATTACH_CACHE=none\nDEFAULT_ATTACH_DISCARD=ignore\n/,
    ],
    [1, 'export LANG=C', /^export LANG=C\n# BEGIN/],
    [
      2,
      'X = 1\n  DISK     = [ driver = "raw" , cache = "writeback", iops_sec=7 ]\nNIC = [ model="virtio" ]\n',
      /\nDISK = \[ driver = "raw" , cache = "none" , iops_sec = 7 , io = "native" , discard = "ignore" \]\n# END.*\nNIC/,
    ],
    [2, 'DISK = [ driver = "raw" ]', /DISK = \[ driver = "raw" , cache/],
  ];
  it.each(cases)('%i %j', (index, text, shape) => {
    const file = managerFiles[index]!;
    const made = file.write(split(text), profile);
    expect(made).toMatch(shape);
    // Written anew it is the same, and taken away every byte is as before.
    expect(file.write(split(made), profile)).toBe(made);
    expect(file.remove(split(made))).toBe(text);
  });

  it.each([
    '# DISK = [ driver = "raw" ]\n',
    'DISK = [ driver = "raw",\n cache = "none" ]\n',
    'DISK = [ driver = raw;x ]\n',
  ])('a DISK that is not one line is left as it is: %j', (text) => {
    expect(managerFiles[2]!.write(split(text), profile)).toBeNull();
    const plan = planManagers(profile, parseManagers([line(2, text)]));
    expect(plan).toMatchObject({ changes: [], warnings: [expect.stringContaining('is not one line')] });
  });
});

describe("Ganeti's cluster", () => {
  const values = [
    'ganeti',
    'value disk_cache default',
    'value disk_aio threads',
    'value disk_discard ignore',
  ];

  it('gets what differs, and what was before is kept once', () => {
    const plan = planManagers(profile, parseManagers(values));
    expect(plan.ganeti).toBe('disk_cache=none,disk_aio=native');
    expect(plan.keepGaneti).toBe('disk_cache=default,disk_aio=threads,disk_discard=ignore');
    expect(plan.changes.map(({ path }) => path)).toEqual([
      'gnt-cluster kvm:disk_cache',
      'gnt-cluster kvm:disk_aio',
    ]);
    const again = planManagers(profile, parseManagers([...values, `kept ${plan.keepGaneti}`]));
    expect(again.keepGaneti).toBeUndefined();
  });

  it('gets back what was before', () => {
    const now = ['ganeti', 'value disk_cache none', 'value disk_aio native', 'value disk_discard ignore'];
    const kept = 'kept disk_cache=default,disk_aio=threads,disk_discard=ignore';
    expect(planManagers(absent, parseManagers([...now, kept])).ganeti).toBe(
      'disk_cache=default,disk_aio=threads',
    );
    expect(planManagers(absent, parseManagers(now)).changes).toEqual([]);
  });

  it.each([['kept disk_cache=$(x)'], ['kept x'], ['file 9 none'], ['nonsense']])(
    '%s is refused',
    (answer) => {
      expect(() => parseManagers([answer])).toThrow();
    },
  );
});

it('managers whose guests say it each for themselves are named, with what to do', () => {
  const { warnings } = planManagers(
    profile,
    parseManagers(['other Proxmox', 'other incus', 'other \u001b[2J']),
  );
  expect(warnings).toHaveLength(2);
  expect(warnings[0]).toMatch(/^no effect here: Proxmox/);
});
