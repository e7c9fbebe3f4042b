import { cpus } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cacheFolder } from '../../src/lab/debian/cache.ts';
import type { BootRequest } from './boot.ts';
import { type Built, buildModule } from './build.ts';
import { faultKinds, faultyScript, readFaultyRuns } from './debug-faults.ts';
import { AT_END, bootDebug, type DebugGuest, IDLE, lookForLeaks, tailOf } from './debug-guest.ts';
import { type DebugKernel, prepareDebugKernel } from './debug-kernel.ts';
import { buildDetectors, detectorsScript, leak, mistakes, saidOf } from './detectors.ts';
import { ext4Image } from './filesystem.ts';
import { type CheckRun, checkScript, EXT4_IMAGE, EXT4_MIB, readReport, runNames } from './run-checks.ts';
import { drawTable, showTable } from './table.ts';
import { Turns } from './turns.ts';

// The kernel takes ten minutes for the first time; a guest, from one to twenty on a quiet machine.
const PREPARE_MS = 150 * 60_000;
const BOOT_MS = 120 * 60_000;
// All guests, one after the other.
const WAIT_MS = 6 * BOOT_MS;

/** What has been mutated or damaged counts; what is only good is for the others. */
const HOSTILE_REQUESTS = 1_000_000;
const hostileGuests = [1, 2, 3].map((number) => ({
  name: `hostile guest ${number}`,
  seed: 0x5eed + number,
  requests: 125_000,
}));

const log = (line: string) => console.log(`[debug kernel] ${line}`);
const booting = new Turns(Math.max(1, cpus().length));
const rows: string[][] = [];

let kernel: DebugKernel;
let built: Built;
let detectors: Buffer;

beforeAll(async () => {
  kernel = await prepareDebugKernel(log);
  const { release } = kernel.image;
  built = await buildModule(
    { root: kernel.root, release, tree: kernel.tree },
    join(cacheFolder(), 'builds', 'vhost_blk'),
  );
  detectors = await buildDetectors(kernel);
}, PREPARE_MS);

afterAll(() => {
  showTable(
    'vhost_blk on a debug kernel',
    drawTable(['guest', 'what', 'splats', 'leaks', 'lockdep', 'QEMU', 'seconds'], rows),
  );
});

async function boot(name: string, request: Pick<BootRequest, 'script'>): Promise<DebugGuest> {
  return booting.run(() =>
    bootDebug(kernel, name, {
      ...request,
      files: [
        { path: 'vhost_blk.ko', data: built.module },
        { path: 'sbin/vhost-blk-check', data: built.check, mode: 0o755 },
        { path: 'detectors.ko', data: detectors },
        { path: EXT4_IMAGE, data: ext4Image(EXT4_MIB) },
      ],
      timeoutMs: BOOT_MS,
    }),
  );
}

function addRow(name: string, what: string, guest: DebugGuest): void {
  rows.push([
    name,
    what,
    String(guest.splats.length),
    guest.leaks.size === 0 ? 'not looked for' : [...guest.leaks.values()].join('').trim() ? 'some' : '0',
    guest.lockdepOn ? 'on' : 'OFF',
    guest.boot.ended,
    String(Math.round(guest.boot.seconds)),
  ]);
}

/** The detectors were on from begin to end, and saw nothing. */
function expectClean(guest: DebugGuest, looks: readonly string[]): void {
  expect(guest.splats, tailOf(guest)).toEqual([]);
  expect(guest.boot.ended, tailOf(guest)).toBe('exit 0');
  expect(guest.boot.exit, tailOf(guest)).toBe(0);
  expect(Object.fromEntries(guest.leaks)).toEqual(Object.fromEntries(looks.map((when) => [when, ''])));
  expect(guest.kmemleakOn).toBe(true);
  expect(guest.lockdepOn).toBe(true);
}

describe.concurrent('on a debug kernel', () => {
  describe('mistakes on purpose', () => {
    let guest: DebugGuest;

    beforeAll(async () => {
      guest = await boot('detectors', { script: detectorsScript });
      const seen = mistakes.filter(({ name, report }) => report.test(saidOf(guest.boot.console, name)));
      addRow('mistakes on purpose', `${seen.length} of ${mistakes.length} reported`, guest);
    }, WAIT_MS);

    test.each(mistakes)('$name is reported, and counts', ({ name, report }) => {
      const said = saidOf(guest.boot.console, name);
      expect(said, tailOf(guest)).toMatch(report);
      expect(guest.splats.filter((line) => report.test(line))).not.toEqual([]);
    });

    test('a leak is reported', () => {
      expect(guest.leaks.get(AT_END), tailOf(guest)).toMatch(/unreferenced object .*\(size 1024\)/);
      expect(saidOf(guest.boot.console, leak)).not.toBe('');
    });

    test('lockdep tells when it looks no more', () => {
      expect(guest.lockdepOn).toBe(false);
      expect(guest.boot.output).toMatch(/^@@lockdep 0$/m);
    });
  });

  describe('vhost-blk-check', () => {
    let guest: DebugGuest;
    let runs: CheckRun[];

    beforeAll(async () => {
      guest = await boot('suite', { script: `${checkScript(withoutLong)}${idleScript}` });
      runs = readReport(guest.boot).runs;
      const sum = (key: 'passed' | 'failed' | 'skipped') => runs.reduce((all, run) => all + run[key], 0);
      addRow(
        'vhost-blk-check',
        `${sum('passed')} cases passed, ${sum('failed')} failed, ${sum('skipped')} skipped`,
        guest,
      );
    }, WAIT_MS);

    test('passes', () => {
      expect(runs.map((run) => run.name)).toEqual(runNames);
      expect(runs.flatMap((run) => run.failures.map((failure) => `${run.name}: ${failure}`))).toEqual([]);
      expect(runs.filter((run) => run.exit !== 0 || run.pinned !== 0 || !run.unloaded)).toEqual([]);
    });

    test('shows no bug and leaks nothing', () => {
      expectClean(guest, [IDLE, AT_END]);
    });
  });

  describe('a hostile guest', () => {
    let guests: DebugGuest[];
    let requests: number[];

    beforeAll(async () => {
      guests = await Promise.all(
        hostileGuests.map((plan) => boot(plan.name, { script: hostileScript(plan) })),
      );
      requests = guests.map((guest) => hostileRequests(guest.boot.output));
      for (const [index, guest] of guests.entries())
        addRow(hostileGuests[index]!.name, `${requests[index]} hostile requests`, guest);
    }, WAIT_MS);

    test(`makes ${HOSTILE_REQUESTS} requests, and the module stands each`, () => {
      for (const { boot } of guests) {
        expect(boot.output.match(/^not ok .*$/gm) ?? []).toEqual([]);
        expect(boot.output.match(/^@@ended .*$/gm)).toEqual(['@@ended 0', '@@ended 0']);
      }
      expect(requests.reduce((sum, count) => sum + count, 0)).toBeGreaterThanOrEqual(HOSTILE_REQUESTS);
    });

    test('shows no bug and leaks nothing', () => {
      for (const guest of guests) expectClean(guest, [IDLE, AT_END]);
    });
  });

  describe('faults of the kernel', () => {
    let guest: DebugGuest;

    beforeAll(async () => {
      guest = await boot('faults', { script: injectScript });
      const faulty = readFaultyRuns(guest.boot);
      const faults = faulty.map(({ kind, faults }) => `${kind} ${faults}`).join(', ');
      addRow('faults of the kernel', `${injectedCases(guest).length} cases; by chance: ${faults}`, guest);
    }, WAIT_MS);

    test('each call and request meets them, and answers as it must', () => {
      const cases = injectedCases(guest);
      expect(cases.filter((line) => !line.startsWith('ok '))).toEqual([]);
      expect(cases.filter((line) => line.includes('# skipped'))).toEqual([]);
      expect(cases.length).toBe(7);
    });

    test.each(faultKinds)(
      'cases by the dozen meet $name, none hangs, and all works afterwards',
      ({ name }) => {
        const run = readFaultyRuns(guest.boot).find(({ kind }) => kind === name);
        expect(run, tailOf(guest)).toBeDefined();
        expect(run!.faults).toBeGreaterThan(20);
        expect(run!.stuck).toEqual([]);
        expect(run!.ended).toBe(run!.listed);
        expect(run!.listed).toBeGreaterThan(50);
        expect(run!.afterwards, tailOf(guest)).toBe(0);
        expect(run!.unloaded).toBe(true);
      },
    );

    test('show no bug and leak nothing', () => {
      expectClean(guest, [AT_END]);
    });
  });
});

/** What the module of `vhost-blk-check` is told to do many times, is done once: KASAN takes its time. */
function withoutLong(options: string): string {
  return options.replace(/ --long \d+/g, '');
}

/** Behind all runs, some requests more: what they leave while the module stays is looked for, too. */
const idleScript = `insmod /vhost_blk.ko
vhost-blk-check --quick >/dev/null || exit 1
${lookForLeaks}
rmmod vhost_blk || exit 1
`;

function hostileScript({ seed, requests }: { seed: number; requests: number }): string {
  const check = `vhost-blk-check --timeout ${BOOT_MS / 1000} --fuzz --device /dev/hostile`;
  const runs = ['damage', 'memory changes']
    .map((only) => `${check} --only "${only}" --requests ${requests} --seed ${seed}\necho "@@ended $?"`)
    .join('\n');
  return `mount -t configfs configfs /sys/kernel/config
mkdir /sys/kernel/config/nullb/hostile
for setting in memory_backed=1 size=64 irqmode=1 discard=1 power=1; do
	echo "\${setting#*=}" >"/sys/kernel/config/nullb/hostile/\${setting%%=*}"
done
insmod /vhost_blk.ko || exit 1
${runs}
${lookForLeaks}
rmmod vhost_blk || exit 1
`;
}

/** As the check program counted them in cases that passed. */
function hostileRequests(output: string): number {
  const cases = output.matchAll(/^ok \d+ fuzz: .* # seed 0x[0-9a-f]+: (\d+) requests, /gm);
  return [...cases].reduce((sum, [, count]) => sum + Number(count), 0);
}

const injectScript = `mount -t configfs configfs /sys/kernel/config
insmod /vhost_blk.ko || exit 1
vhost-blk-check --timeout 1200 --inject
rmmod vhost_blk || exit 1
${faultyScript}`;

function injectedCases({ boot }: DebugGuest): string[] {
  return boot.output.match(/^(?:not )?ok \d+ inject: .*$/gm) ?? [];
}
