import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { FleetError } from '../../../../src/lib/errors.ts';
import type { Input, ResourcePlan } from '../../../../src/resources/kind.ts';
import { qemuDriveDefaults as kind } from '../../../../src/resources/qemu_drive_defaults/index.ts';
import { debianFacts } from '../facts.ts';

const folder = join(dirname(fileURLToPath(import.meta.url)), '../../../fixtures/qemu_drive_defaults');

/** A probe's answer, line by line, and what the plan made of it shall be. */
interface Case {
  about: string;
  desired: object;
  answer: string[];
  expect: { status: string; changes?: string[]; warnings?: number };
}

const input = (desired: object): Input<unknown> => ({ desired: kind.schema.parse(desired), assets: {} });
const load = (name: string): Case => JSON.parse(readFileSync(join(folder, name), 'utf8'));

function planOf({ desired, answer }: Pick<Case, 'desired' | 'answer'>): ResourcePlan | { status: string } {
  const declared = input(desired);
  try {
    const current = kind.parse(Buffer.from(`${answer.join('\n')}\n`, 'latin1'), declared);
    return kind.plan(declared, current, { facts: debianFacts() });
  } catch (error) {
    if (error instanceof FleetError) return { status: error.code };
    throw error;
  }
}

/** Paths of files; values with what they are and shall be. */
function changeLines(plan: ReturnType<typeof planOf>): string[] | undefined {
  if (!('changes' in plan)) return undefined;
  return plan.changes.map(({ path, from, to }) =>
    (from ?? to)?.startsWith('sha256:') ? path : `${path}: ${from} → ${to}`,
  );
}

describe('answers of hosts', () => {
  it.each(readdirSync(folder))('%s', (name) => {
    const recorded = load(name);
    const plan = planOf(recorded);
    expect({
      status: plan.status,
      changes: changeLines(plan),
      warnings: 'warnings' in plan ? (plan.warnings?.length ?? 0) : 0,
    }).toEqual({ warnings: 0, ...recorded.expect });
  });

  it('the drift of a hand edit names the line', () => {
    const plan = planOf(load('hand-edit.json'));
    expect('changes' in plan && plan.changes[0]?.diff).toMatch(/^- {2}value = "64"\n\+ {2}value = "256"$/m);
  });

  it('nothing that a host says reaches the terminal as it is', () => {
    expect(JSON.stringify(planOf(load('hostile-values.json')))).not.toContain('\\u001b');
  });

  it('any cut of an answer is an answer or E_PROBE, never another failure', () => {
    const { desired, answer } = load('patched-vhost-blk.json');
    const text = answer.join('\n');
    for (let end = 0; end < text.length; end += 37) planOf({ desired, answer: [text.slice(0, end)] });
    expect(planOf({ desired, answer: ['x'.repeat(2_000_000)] }).status).toBe('E_PROBE');
  });
});

describe('the files', () => {
  function filesOf(name: string, more: object = {}): Map<string, string> {
    const { desired, answer } = load(name);
    const declared = input({ ...desired, ...more });
    const current = kind.parse(Buffer.from(answer.join('\n')), declared);
    const [step] = kind.steps(declared, current, { facts: debianFacts() });
    const texts = (step!.payloads ?? []).map(({ bytes }) => bytes.toString('latin1'));
    return new Map(texts.map((text) => [/one disk by (\S+)\./.exec(text)?.[1] ?? 'conf', text]));
  }
  const groups = (text: string) =>
    [...text.matchAll(/driver = "(.+)"\n {2}property = "(.+)"\n {2}value = "(.+)"/g)].map((m) =>
      m.slice(1).join(' '),
    );

  it('a profile becomes [global] groups; cache and aio are in the fragment only', () => {
    const files = filesOf('stock-7.2-bare.json', { cache: 'directsync', aio: 'io_uring', discard: 'ignore' });
    expect(groups(files.get('conf')!)).toEqual([
      'virtio-blk-pci num-queues 4',
      'virtio-blk-pci queue-size 512',
      'virtio-blk-pci discard off',
      'virtio-blk-pci write-cache off',
    ]);
    expect(files.get('conf')).not.toMatch(/aio|cache = |\[drive/);
    expect(files.get('virtio-blk')).toMatch(
      /cache = "directsync"\n {2}aio = "io_uring"\n {2}discard = "ignore"/,
    );
    expect(files.get('vhost-user-blk')).toContain('num-queues = "4"');
    expect(files.has('vhost-blk')).toBe(false);
  });

  it('vhost-blk-pci gets groups for the properties that it has, and a fragment past the page cache', () => {
    const files = filesOf('patched-without-write-cache.json', { cache: 'writeback', aio: 'threads' });
    expect(groups(files.get('conf')!).filter((group) => group.startsWith('vhost'))).toEqual([
      'vhost-blk-pci num-queues 65535',
      'vhost-blk-pci queue-size 256',
      'vhost-blk-pci discard on',
    ]);
    expect(files.get('vhost-blk')).toContain('cache = "none"');
  });
});

describe('the declaration', () => {
  const disk = (name: string, source: string) => ({ name, source });

  it.each([
    [{}, true],
    [{ queues: 1024, queue_size: 1024 }, true],
    [{ queues: 0 }, false],
    [{ queues: 'all' }, false],
    [{ queue_size: 300 }, false],
    [{ queue_size: 2 }, false],
    [{ cache: 'writeback', aio: 'native' }, false],
    [{ cache: 'writeback', aio: 'io_uring' }, true],
    [{ discard: 'ignore', detect_zeroes: 'unmap' }, false],
    [{ binaries: ['/opt/qemu/bin/qemu-system-x86_64'] }, true],
    [{ binaries: ['qemu'] }, false],
    [{ binaries: ['/usr/bin/../x'] }, false],
    [{ binaries: ['/usr/bin/qemu $(x)'] }, false],
    [{ cashe: 'none' }, false],
    [{ disks: [disk('a', '/dev/a'), disk('b', '/dev/b')] }, true],
    [{ disks: [disk('a', '/dev/a'), disk('b', '/dev/a')] }, false],
    [{ disks: [disk('a', '/dev/a'), disk('a', '/dev/b')] }, false],
    [{ disks: [disk('a', '/dev/./a')] }, false],
    [{ disks: [disk('a', '/dev//a')] }, false],
    [{ disks: [disk('a', '/dev/a/')] }, false],
  ])('%j: %s', (desired, valid) => {
    expect(kind.schema.safeParse(desired).success).toBe(valid);
  });
});
