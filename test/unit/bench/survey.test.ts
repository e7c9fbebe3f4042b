import { describe, expect, test } from 'vitest';
import { planBench } from '../../../src/bench/plan.ts';
import { benchRequest } from '../../../src/bench/request.ts';
import { parseSurvey, requireMeasurable } from '../../../src/bench/survey.ts';
import { FleetError } from '../../../src/lib/errors.ts';

const TOOLS = ['fio', 'timeout', 'flock', 'make', 'cc', 'cpio', 'qemu-storage-daemon', 'qemu-system-x86_64'];

function survey(...more: string[]) {
  return parseSurvey(Buffer.from([...told, ...more, ''].join('\n')));
}

const told = [
  'kernel 6.12.1-amd64',
  'cpus 4',
  'load 0.07',
  'memory 8000000',
  'available 7000000',
  'cpu  Some CPU: with a colon',
  ...TOOLS.map((tool) => `tool ${tool}`),
];
const loaded = ['vhost_blk 0.1.0', 'source /usr/src/vhost-blk-0.1.0/bench', 'device'];

const codeOf = (work: () => unknown) => {
  try {
    work();
  } catch (error) {
    if (error instanceof FleetError) return [error.code, error.message] as const;
    throw error;
  }
  return ['taken', ''] as const;
};

describe('what a host says before a bench', () => {
  test('is read, line by line', () => {
    const { machine, tools, vhostBlk, vhostBlkDevice, benchSource, disk } = survey(...loaded);
    expect(machine).toEqual({
      kernel: '6.12.1-amd64',
      cpu: 'Some CPU: with a colon',
      cpus: 4,
      memoryKiB: 8_000_000,
      load: 0.07,
    });
    expect([...tools]).toEqual(TOOLS);
    expect([vhostBlk, vhostBlkDevice, benchSource, disk]).toEqual([
      '0.1.0',
      true,
      '/usr/src/vhost-blk-0.1.0/bench',
      null,
    ]);
  });

  test.for([
    ['nothing', ''],
    ['a number that is none', 'kernel 6.1\ncpus many\nload 1\nmemory 1\n'],
    [
      'a source that would leave its folder',
      [...told, 'source /usr/src/vhost-blk-1/../../../tmp/bench', ''].join('\n'),
    ],
    ['a source with shell in it', [...told, 'source /usr/src/vhost-blk-$(id)/bench', ''].join('\n')],
  ] as const)('%s is refused', ([, text]) => {
    expect(codeOf(() => parseSurvey(Buffer.from(text)))[0]).toBe('E_PROBE');
  });

  test('a disk that must be left alone is told with every reason, safe for a terminal', () => {
    const request = benchRequest({ disk: '/dev/sdb' });
    const answer = survey(
      'disk /dev/sdb',
      'sectors 99999',
      'reason it holds data: ext4',
      'reason it is mounted on /\x1b[2J',
    );
    const [code, message] = codeOf(() => requireMeasurable(request, answer));
    expect(code).toBe('E_BLOCKED');
    expect(message).toBe('/dev/sdb is left alone: it holds data: ext4; it is mounted on /\\x1b[2J');
    expect(codeOf(() => requireMeasurable(request, survey('disk /dev/sdb', 'sectors 99999')))[0]).toBe(
      'taken',
    );
    expect(codeOf(() => requireMeasurable(request, survey('disk -')))[0]).toBe('E_BLOCKED');
    expect(codeOf(() => requireMeasurable(request, survey('disk /dev/sdb')))[0]).toBe('E_BLOCKED');
  });

  test('without fio nothing is measured, and the package is named', () => {
    const bare = parseSurvey(Buffer.from(told.filter((line) => line !== 'tool fio').join('\n')));
    const [code, message] = codeOf(() => requireMeasurable(benchRequest({}), bare));
    expect([code, message]).toEqual(['E_BLOCKED', 'fio is not installed there']);
  });
});

describe('the plan of a bench', () => {
  const plan = (flags: Parameters<typeof benchRequest>[0], ...more: string[]) =>
    planBench(benchRequest(flags), survey(...more));

  test('without KVM the client drives what it can, and virtio-blk says that it needs a guest', () => {
    const { plan: made, skipped } = plan({}, ...loaded);
    expect(made.ways).toEqual(['host', 'vhost-user-blk', 'vhost-blk']);
    expect(skipped.get('virtio-blk')).toBe(
      'needs a guest, and this host has no usable KVM: there is no /dev/kvm',
    );
    expect([made.guest, made.vcpus, made.ramdiskMiB]).toEqual(['no', [1, 2, 4], 256]);
  });

  test('KVM of a CPU that is itself emulated is not used unless asked for', () => {
    const emulated = [...loaded, 'kvm', 'image', 'tool vhost-user-bridge', 'cpu QEMU TCG CPU version 2.5+'];
    const { plan: made, skipped } = plan({}, ...emulated);
    expect(made.guest).toBe('no');
    expect(skipped.get('virtio-blk')).toMatch(/no usable KVM: its CPU is emulated$/);
    expect(plan({ guest: 'tcg' }, ...emulated).plan.guest).toBe('tcg');
  });

  test('without the module: host and vhost-user-blk, and what brings it', () => {
    const { plan: made, skipped } = plan({}, 'source /usr/src/vhost-blk-0.1.0/bench');
    expect(made.ways).toEqual(['host', 'vhost-user-blk']);
    expect(skipped.get('vhost-blk')).toMatch(/^the module vhost_blk is not loaded there: /);
  });

  test('with KVM all ways; without the bridge not vhost-blk', () => {
    const kvm = [...loaded, 'kvm', 'image'];
    const { plan: made, skipped } = plan({}, ...kvm);
    expect([made.guest, made.ways]).toEqual(['auto', ['host', 'virtio-blk', 'vhost-user-blk']]);
    expect(skipped.get('vhost-blk')).toMatch(/^vhost-user-bridge is not installed there/);
    expect(plan({}, ...kvm, 'tool vhost-user-bridge').plan.ways).toHaveLength(4);
    expect(plan({ guest: 'no' }, ...kvm).plan.ways).toEqual(['host', 'vhost-user-blk', 'vhost-blk']);
  });

  test('more queues than the client drives: only the host', () => {
    expect(plan({ vcpus: '16' }, ...loaded).plan.ways).toEqual(['host']);
  });

  test('a host that is at work is warned of; one without memory makes no RAM disk', () => {
    const full = told.map((line) => (line.startsWith('available') ? 'available 200000' : line));
    const answer = parseSurvey(Buffer.from(full.join('\n').replace('load 0.07', 'load 3.20')));
    expect(codeOf(() => planBench(benchRequest({}), answer))[0]).toBe('E_BLOCKED');
    const { warnings } = planBench(benchRequest({ disk: '/dev/sdb' }), {
      ...answer,
      disk: { device: '/dev/sdb', bytes: 1, reasons: [] },
    });
    expect(warnings.join()).toContain('load 3.2');
  });
});
