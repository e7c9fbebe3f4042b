import { describe, expect, it } from 'vitest';
import { FleetError } from '../../../../src/lib/errors.ts';
import {
  GUARD,
  guardFile,
  optionsFile,
  optionsPath,
  unitFile,
  unitPath,
} from '../../../../src/resources/kernel_module/files.ts';
import { kernelModule } from '../../../../src/resources/kernel_module/index.ts';
import { acceptedTexts } from '../../../../src/resources/kernel_module/parameters.ts';
import { planModule } from '../../../../src/resources/kernel_module/plan.ts';
import { parseModule } from '../../../../src/resources/kernel_module/probe.ts';
import {
  type KernelModuleDesired,
  kernelModuleSchema,
} from '../../../../src/resources/kernel_module/schema.ts';
import { moduleSteps } from '../../../../src/resources/kernel_module/steps.ts';
import type { Input, PlanContext } from '../../../../src/resources/kind.ts';
import { debianFacts } from '../facts.ts';
import { changeLines, runProbe } from '../shell.ts';

const declare = (more = {}): Input<KernelModuleDesired> => ({
  desired: kernelModuleSchema.parse({ name: 'demo', ...more }),
  assets: {},
});

const unit = [
  `${unitFile('demo').sha256}  ${unitPath('demo')}`,
  `${guardFile().sha256}  ${GUARD}`,
  'guard',
  'enabled',
];
const loaded = ['loaded', 'initstate live', 'srcversion AAAA', 'refcnt 0'];
const info = (more: readonly string[] = []) => [
  'modinfo',
  'filename:       /lib/modules/6.1.0-41-amd64/updates/dkms/demo.ko',
  'srcversion:     AAAA',
  'parm:           answer:a number (int)',
  ...more,
];

function context(kernel = {}, more = {}): PlanContext {
  const facts = debianFacts();
  return { facts: { ...facts, kernel: { ...facts.kernel, ...kernel } }, ...more };
}

function plan(lines: readonly string[], { input = declare(), where = context() } = {}) {
  return planModule(input, parseModule(Buffer.from(`${lines.join('\n')}\n`), input), where);
}

describe('what runs and what is on the disk', () => {
  it('ok where both are the same, and the unit is ours', () => {
    expect(plan([...loaded, ...unit, ...info()])).toMatchObject({ status: 'ok' });
  });

  it('loads, and puts the unit in place', () => {
    expect(changeLines(plan(info()))).toEqual(['boot: null → guarded unit', 'loaded: null → live']);
  });

  it('reloads another build where nothing uses it', () => {
    const found = plan(
      [...loaded, ...unit, ...info()].map((line) => line.replace('srcversion AAAA', 'srcversion BBBB')),
    );
    expect(changeLines(found)).toEqual(['srcversion: BBBB → AAAA']);
  });

  it.each([
    ['the count', 'refcnt 1', []],
    ['a holder', 'refcnt 0', ['holder other']],
  ])('holds where %s says that it is in use', (_what, refcnt, more) => {
    const lines = ['loaded', 'initstate live', 'srcversion BBBB', refcnt, ...more, ...unit, ...info()];
    expect(plan(lines)).toMatchObject({ status: 'held', state: 'pending-drain' });
  });

  it('in use with all as declared is ok', () => {
    expect(plan([...loaded.slice(0, 3), 'refcnt 3', ...unit, ...info()])).toMatchObject({ status: 'ok' });
  });

  it('a module that a task before builds anew is known after apply', () => {
    const where = context({}, { modulesBuilt: new Set(['demo']) });
    expect(changeLines(plan([...loaded, ...unit, ...info()], { where }))).toEqual([
      'srcversion: AAAA → known after apply',
    ]);
  });

  it('one that only another kernel has waits for the reboot', () => {
    const found = plan([...unit, 'kernel 6.1.0-42-amd64', 'modinfo']);
    expect(found).toMatchObject({ status: 'held', state: 'pending-reboot' });
  });

  it('one that the kernel complained of is held for this boot', () => {
    const found = plan([...loaded, 'unwell the kernel warned', ...unit, ...info()]);
    expect(found).toMatchObject({ status: 'held', state: 'unwell' });
  });
});

describe('stops before anything changes', () => {
  it.each([
    ['quarantined', ['quarantine the host went down', ...info()], {}],
    ['stuck while loading', ['loaded', 'initstate coming', 'refcnt 1', ...info()], {}],
    [
      'refused by the administrator',
      ['refused install demo /bin/false in /etc/modprobe.d/x.conf', ...info()],
      {},
    ],
    ['a container', ['unable the session may not load modules there', ...info()], {}],
    ['a kernel that has oopsed', info(), { tainted: 128 }],
    ['a kernel that has locked up', info(), { tainted: 16384 }],
    ['Secure Boot and no signature', info(), { sigEnforce: true }],
    ['lockdown and no signature', info(), { lockdown: 'integrity' }],
    [
      'a signer that the kernel does not know',
      [...['key Debian: 1'], ...info(['signer:         DKMS module signing key'])],
      { sigEnforce: true },
    ],
  ])('%s', (_what, lines, kernel) => {
    expect(plan(lines, { where: context(kernel) })).toMatchObject({ status: 'blocked', code: 'E_BLOCKED' });
  });

  it('a parameter that the module does not have', () => {
    const input = declare({ parameters: { anwser: 1 } });
    expect(plan(info(), { input })).toMatchObject({ status: 'blocked' });
  });

  it('not for a signature that is trusted, or waits for its enrolment', () => {
    const signed = [
      'key DKMS module signing key: ab',
      ...unit,
      ...info(['signer:         DKMS module signing key']),
    ];
    expect(plan(signed, { where: context({ sigEnforce: true }) })).toMatchObject({ status: 'change' });
    const waiting = ['key Debian: 1', 'enrolment', ...signed.slice(1)];
    expect(plan(waiting, { where: context({ sigEnforce: true }) })).toMatchObject({
      state: 'pending-enrolment',
    });
  });
});

describe('parameters', () => {
  const input = declare({ parameters: { answer: 7, flag: true } });
  const options = optionsFile(input.desired)!;
  const lines = [
    ...loaded,
    ...unit,
    `${options.sha256}  ${optionsPath('demo')}`,
    'parameter flag Y',
    ...info(['parm:           flag:yes (bool)']),
  ];

  it('that differ are changed by a reload', () => {
    expect(changeLines(plan(['parameter answer 42', ...lines], { input }))).toEqual([
      'parameter.answer: 42 → 7',
    ]);
    expect(plan(['parameter answer 7', ...lines], { input })).toMatchObject({ status: 'ok' });
  });

  it('stand in modprobe.d in one order', () => {
    expect(options.bytes.toString()).toBe('# Part of blkfleet.\noptions demo answer=7 flag=Y\n');
  });

  it.each([
    [true, 'Y'],
    ['on', 'Y'],
    [0, 'N'],
    ['0x10', '16'],
    [12, '12'],
  ])('%j is shown as %s', (value, text) => {
    expect(acceptedTexts(value)).toContain(text);
  });

  it.each(['a b', 'a"b', 'a#b', 'a\nb'])('text that modprobe.d can not hold is refused: %j', (word) => {
    expect(kernelModuleSchema.safeParse({ name: 'demo', parameters: { word } }).success).toBe(false);
  });
});

describe('steps', () => {
  const titles = (lines: readonly string[], input = declare()) =>
    moduleSteps(input, parseModule(Buffer.from(`${lines.join('\n')}\n`), input), context()).map(
      (step) => step.title,
    );

  it('options before the load, the unit after it: a boot must not meet a module that was never loaded', () => {
    expect(titles(info(), declare({ parameters: { answer: 7 } }))).toEqual([
      'write /etc/modprobe.d/blkfleet-demo.conf',
      'load demo',
      'load demo at boot',
    ]);
  });

  it('absent: unload first, and nothing of a module in use', () => {
    const absent = declare({ state: 'absent' });
    expect(titles([...loaded, ...unit], absent)).toEqual(['unload demo', 'remove what is kept of demo']);
    expect(titles(['loaded', 'initstate live', 'refcnt 2', ...unit], absent)).toEqual([
      'remove what is kept of demo',
    ]);
  });
});

describe('answers', () => {
  it('of this machine make sense', () => {
    const input = declare({ name: 'blkfleet_none' });
    const [answer] = runProbe(kernelModule, [input]);
    expect(parseModule(answer!, input)).toMatchObject({ builtin: false, enabled: false });
  });

  it('that deny a look, or never end, are errors', () => {
    const input = declare();
    expect(() => parseModule(Buffer.from('denied\nmodinfo\n'), input)).toThrow(FleetError);
    expect(() => parseModule(Buffer.alloc(300_000, 'x'), input)).toThrow(FleetError);
  });

  it('- and _ are the same in a name', () => {
    expect(kernelModuleSchema.parse({ name: 'vhost-blk' }).name).toBe('vhost_blk');
  });
});
