import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { FleetError } from '../../../../src/lib/errors.ts';
import type { ResourcePlan, Step } from '../../../../src/resources/kind.ts';
import { qemuDriveDefaults as kind } from '../../../../src/resources/qemu_drive_defaults/index.ts';
import { debianFacts } from '../facts.ts';

const applied = new URL('../../../fixtures/qemu_drive_defaults/applied-kept.json', import.meta.url);
const base: string[] = JSON.parse(readFileSync(applied, 'utf8')).answer;
const CONF = '/etc/blkfleet/disks.d/web1.conf';
const UNIT = 'vhost-blk@web1.service';
const OURS = `# Part of blkfleet, by qemu_drive_defaults. Changes by hand are drift.
disk = /dev/vg/web1
discard = yes
`;

const base64 = (text: string) => `b64 ${Buffer.from(text).toString('base64')}`;

/** What a host with QEMU 7.2, as applied, answers when it has the bridge. */
interface Served {
  /** what it says of the file of web1 */
  file?: string;
  /** of the fragment */
  fragment?: string;
  flags?: string[];
  show?: Record<string, string>;
  systemd?: boolean;
  extra?: string[];
  more?: object;
}

const running = (status: string) => ({ ActiveState: 'active', SubState: 'running', StatusText: status });
const WAITING = running('Waiting for a frontend.');
const GUEST = running('A frontend is connected.');
const ALL = ['ours', 'boot-yes', 'socket', 'serves'];

function verdict(served: Served): { plan: ResourcePlan | { status: string }; steps: readonly Step[] } {
  const { file = 'same 0', fragment = 'same 1', flags = ALL, show = WAITING, systemd = true } = served;
  const desired = kind.schema.parse({
    data_path: 'vhost-user-blk',
    disks: [{ name: 'web1', source: '/dev/vg/web1' }],
    ...served.more,
  });
  const declared = desired as { disks: { data_path?: string }[] };
  const [disk] = declared.disks;
  const answer = [
    ...base.slice(0, 4),
    ...(disk ? [`file /etc/blkfleet/qemu/disks/web1.conf ${fragment}`] : []),
    ...(disk && disk.data_path === undefined ? [`file ${CONF} ${file}`] : []),
    'chosen vhost-user-blk.conf',
    ...base.slice(5, 7),
    'bridge unit',
    'bridge device',
    ...(systemd ? ['bridged systemd'] : []),
    ...flags.map((flag) => `bridged ${flag} web1`),
    'bridged unit web1',
    ...(systemd ? [`bridged show Id=${UNIT}`, 'bridged show MainPID=7'] : []),
    ...(systemd ? Object.entries(show).map(([key, value]) => `bridged show ${key}=${value}`) : []),
    ...(systemd ? ['bridged show '] : []),
    ...(served.extra ?? []),
    ...base.slice(7),
  ];
  const input = { desired, assets: {} };
  const context = { facts: debianFacts() };
  try {
    const current = kind.parse(Buffer.from(`${answer.join('\n')}\n`, 'latin1'), input);
    const plan = kind.plan(input, current, context);
    return { plan, steps: plan.status === 'change' ? kind.steps(input, current, context) : [] };
  } catch (error) {
    if (error instanceof FleetError) return { plan: { status: error.code }, steps: [] };
    throw error;
  }
}

const paths = (plan: object) =>
  'changes' in plan ? (plan.changes as { path: string }[]).map(({ path }) => path) : [];
const titles = (steps: readonly Step[]) => steps.map(({ title }) => title);
const warnings = (plan: object) => ('warnings' in plan ? (plan.warnings as string[]).join('\n') : '');

describe('a disk by the bridge', () => {
  it('that is served, now and at boot, is in sync, with a guest and without; its command line says who may', () => {
    for (const show of [WAITING, GUEST]) {
      const { plan } = verdict({ show });
      expect(plan).toMatchObject({ status: 'ok' });
      expect('notes' in plan && plan.notes).toEqual([
        expect.stringMatching(
          /^disk web1 by vhost-user-blk \(declared\); .*root or a member of the group kvm:\n\/usr/,
        ),
      ]);
    }
  });

  it('that is not there yet: file, unit and boot; a guest from it is not told before it can be', () => {
    const { plan, steps } = verdict({
      file: 'missing',
      flags: [],
      show: { ActiveState: 'inactive', SubState: 'dead' },
    });
    expect(paths(plan)).toEqual([CONF, UNIT, `${UNIT} at boot`]);
    expect(plan).not.toHaveProperty('notes');
    expect(titles(steps)).toEqual([`serve web1 by ${UNIT}`]);
    expect(steps[0]!.payloads!.map(({ bytes }) => bytes.toString())).toEqual([OURS]);
    expect(steps[0]!.script).toContain(`systemctl start ${UNIT}`);
    expect(steps[0]!.script).toContain('qemu_drive_defaults_alone web1 ||');
  });

  it('says discard as the profile does', () => {
    const { steps } = verdict({ more: { discard: 'ignore' }, file: base64(OURS) });
    const texts = steps.flatMap(({ payloads = [] }) => payloads.map(({ bytes }) => bytes.toString()));
    expect(texts).toContainEqual(OURS.replace('= yes', '= no'));
  });

  it.each([
    ['stopped', { ...WAITING, ActiveState: 'failed', SubState: 'failed' }, ALL, [UNIT], 'start'],
    [
      'that starts again and again',
      { ...WAITING, ActiveState: 'activating', SubState: 'auto-restart' },
      ALL,
      [UNIT],
      'start',
    ],
    ['without its socket', GUEST, ['ours', 'boot-yes', 'serves'], [UNIT], 'restart'],
    ['with another disk', WAITING, ['ours', 'boot-yes', 'socket'], [UNIT], 'restart'],
    ['older than its file', WAITING, [...ALL, 'stale'], [UNIT], 'restart'],
  ])('a unit %s is drift', (_, show, flags, changes, verb) => {
    const { plan, steps } = verdict({ show, flags });
    expect(paths(plan)).toEqual(changes);
    expect(steps[0]!.script).toContain(`systemctl ${verb} ${UNIT}`);
    expect(steps[0]!.payloads).toBeUndefined();
  });

  it.each([
    [['ours', 'socket', 'serves'], { from: null, action: '+' }],
    [
      ['ours', 'boot-other', 'socket', 'serves'],
      { from: expect.stringContaining('/multi-user'), action: '~' },
    ],
  ])('not at boot: %s', (flags, change) => {
    const { plan, steps } = verdict({ flags, show: GUEST });
    expect(plan).toMatchObject({ changes: [{ path: `${UNIT} at boot`, ...change }] });
    expect(steps[0]!.script).not.toMatch(/systemctl (?:re)?start/);
  });

  it('whose file was edited is restarted by the declared one, under a guest, too', () => {
    const file = base64(`${OURS}queues = 2\n`);
    const alone = verdict({ file });
    expect(paths(alone.plan)).toEqual([CONF, UNIT]);
    expect(alone.steps[0]!.script).toContain('qemu_drive_defaults_alone web1 ||');
    const guest = verdict({ file, show: GUEST });
    expect(paths(guest.plan)).toEqual([CONF, UNIT]);
    expect(guest.steps[0]!.script).toContain(`systemctl restart ${UNIT}`);
    expect(guest.steps[0]!.script).not.toContain('qemu_drive_defaults_alone web1 ||');
  });

  it.each([
    ['another disk', OURS.replace('web1', 'other'), ['ours', 'boot-yes', 'socket'], 'has another disk'],
    ['discard that goes', OURS, ALL, 'takes away'],
    ['a disk that was read-only', `${OURS}read-only = yes\n`, ALL, 'takes away'],
  ])('%s waits until the guest has ended', (_, text, flags, reason) => {
    const more = text === OURS ? { more: { discard: 'ignore' } } : {};
    const { plan } = verdict({ file: base64(text), flags, show: GUEST, ...more });
    const said = 'reason' in plan ? plan.reason : warnings(plan);
    expect(said).toContain(reason);
    if (text === OURS) expect(paths(plan)).not.toContain(CONF);
    else expect(plan).toMatchObject({ status: 'held', state: 'pending-drain' });
    expect(verdict({ file: base64(text), flags, show: WAITING, ...more }).plan.status).toBe('change');
  });

  it('a file edited under a guest is mended at once, as the unit would take it up; the restart waits', () => {
    const flags = [...ALL, 'stale'];
    const edited = verdict({ file: base64(OURS.replace('web1', 'other')), flags, show: GUEST });
    expect(paths(edited.plan)).toEqual([CONF]);
    expect(warnings(edited.plan)).toContain('not restarted');
    expect(edited.steps[0]!.script).not.toMatch(/systemctl (?:re)?start/);
    expect(verdict({ flags, show: GUEST }).plan).toMatchObject({ status: 'held', changes: [{ path: UNIT }] });
  });

  it('a file of others that says the same disk is taken as it is', () => {
    const theirs = 'disk = /dev/vg/web1\nqueues = 8\n';
    const { plan } = verdict({ file: base64(theirs), flags: ['boot-yes', 'socket', 'serves'] });
    expect(plan.status).toBe('ok');
    const stopped = verdict({
      file: base64(theirs),
      flags: [],
      show: { ActiveState: 'inactive', SubState: 'dead' },
    });
    expect(paths(stopped.plan)).toEqual([UNIT, `${UNIT} at boot`]);
  });

  it.each([
    ['disk = /dev/vg/db\n', 'it says disk = /dev/vg/db'],
    ['queues = 2\n', 'it says no disk'],
    ['disk = /dev/vg/web1\nsocket = /run/x.sock\n', 'a socket of its own'],
    ['disk = \u001b[2J\n', 'it says disk = '],
  ])('a file of others that says %j stops the host', (text, reason) => {
    const { plan } = verdict({ file: base64(text), flags: [] });
    expect(plan).toMatchObject({ status: 'blocked', message: expect.stringContaining(reason) });
    expect(JSON.stringify(plan)).not.toContain('\\u001b');
  });

  it('a link in the place of its file stops the host, too', () => {
    expect(verdict({ file: 'other', flags: [] }).plan.status).toBe('blocked');
  });

  it("goes behind its socket in a domain of libvirt's, too, in the same run", () => {
    const domain = `<domain type='kvm'><name>web</name><uuid>080febe8-1b50-4b21-a5b9-61db8d1db0fe</uuid><devices>
<disk type='block' device='disk'><driver name='qemu' type='raw'/><source dev='/dev/vg/web1'/><target dev='vda' bus='virtio'/></disk>
</devices></domain>`;
    const extra = [
      'libvirt asked',
      'libvirt chosen 080febe8-1b50-4b21-a5b9-61db8d1db0fe',
      `libvirt dumps ${gzipSync(domain).toString('base64')}`,
    ];
    const libvirt = { domains: ['web'] };
    const served = verdict({ file: 'missing', flags: [], extra, more: { libvirt } });
    expect(paths(served.plan)).toContain('domain web vda');
    const [define] = served.steps;
    expect(define!.payloads!.map(({ bytes }) => bytes.toString()).join()).toContain(
      '/run/vhost-blk/web1.sock',
    );
    // One that goes leaves the domain, too.
    const gone = verdict({
      extra: [...extra, `served ${CONF}:disk = /dev/vg/web1`],
      more: { libvirt, disks: [] },
    });
    expect(gone.steps[0]!.payloads!.map(({ bytes }) => bytes.toString()).join()).not.toContain('vhostuser');
  });

  it('without systemd the unit is prepared for its next start', () => {
    const { plan, steps } = verdict({ systemd: false, file: 'missing', flags: [] });
    expect(paths(plan)).toEqual([CONF, `${UNIT} at boot`]);
    expect(warnings(plan)).toContain('systemd is not the running init');
    expect(steps).toHaveLength(1);
  });
});

describe('a disk that is not declared any more', () => {
  const gone = { more: { disks: [] } };

  it('is not served any more, now and at boot, and its file goes', () => {
    const { plan, steps } = verdict(gone);
    expect(paths(plan)).toEqual([`${UNIT} at boot`, CONF, UNIT]);
    expect(titles(steps)).toEqual([`end ${UNIT}`]);
    expect(steps[0]!.script).toContain('qemu_drive_defaults_alone web1 || exit 1');
  });

  it('stays with its guest, but for the next boot', () => {
    const first = verdict({ ...gone, show: GUEST });
    expect(paths(first.plan)).toEqual([`${UNIT} at boot`]);
    expect(warnings(first.plan)).toContain('a guest is connected');
    expect(first.steps[0]!.script).not.toMatch(/systemctl stop|rm -f -- .*disks\.d/);
    const later = verdict({ ...gone, show: GUEST, flags: ['ours', 'socket'] });
    expect(later.plan).toMatchObject({ status: 'held', state: 'pending-drain' });
    expect(paths(later.plan)).toEqual([CONF, UNIT]);
  });

  it.each([running(''), running('Something new.'), { ...WAITING, ActiveState: 'deactivating' }])(
    'stays where it is not known to be free: %j',
    (show) => {
      expect(verdict({ ...gone, show, flags: ['ours', 'socket'] }).plan.status).toBe('held');
    },
  );

  it('by state: absent it goes before all that is kept; a guest holds it, and nothing else', () => {
    const more = { state: 'absent', data_path: 'auto', disks: [] };
    const { plan, steps } = verdict({ more });
    expect(paths(plan)).toContain(CONF);
    expect(titles(steps)).toEqual([`end ${UNIT}`, "remove QEMU's drive defaults"]);
    const foreign = verdict({ more, extra: ['served /etc/blkfleet/disks.d/db.conf:disk = /dev/vg/db'] });
    expect(warnings(foreign.plan)).toBe("not blkfleet's, and left as it is: /etc/blkfleet/disks.d/db.conf");
    const held = verdict({ more, show: GUEST });
    expect(paths(held.plan)).not.toContain(CONF);
    expect(titles(held.steps)).toEqual([`do not start ${UNIT} at boot`, "remove QEMU's drive defaults"]);
  });

  it('by virtio-blk now, it is given back by the bridge', () => {
    const disks = [{ name: 'web1', source: '/dev/vg/web1', data_path: 'virtio-blk' }];
    const { plan, steps } = verdict({ more: { disks } });
    expect(paths(plan)).toEqual([`${UNIT} at boot`, CONF, UNIT]);
    expect(titles(steps)).toEqual([`end ${UNIT}`]);
  });
});

describe('answers that make no sense', () => {
  it.each([
    [['bridged unit ../x']],
    [['bridged ours $(x)']],
    [['bridged nonsense web1']],
    [['bridged show no equals sign']],
    [['bridged unit web2']],
    [Array.from({ length: 1001 }, (_, n) => `bridged unit w${n}`)],
  ])('%j', (extra) => {
    expect(verdict({ extra }).plan.status).toBe('E_PROBE');
  });

  it('a unit whose state is not told', () => {
    expect(verdict({ show: {} }).plan.status).toBe('E_PROBE');
    expect(verdict({ show: { ActiveState: '\u001b[2J' } }).plan.status).toBe('E_PROBE');
  });
});
