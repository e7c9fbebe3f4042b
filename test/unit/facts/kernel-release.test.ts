import { expect, it } from 'vitest';
import {
  compareReleases,
  parseKernelRelease,
  rangeProblem,
  runningVersion,
  versionInRange,
} from '../../../src/facts/kernel-release.ts';

it.each([
  ['6.12.117+deb13-amd64', '6.12.117', '+deb13-amd64'],
  ['5.14.0-503.el9.x86_64', '5.14.0', '-503.el9.x86_64'],
  ['6.1.0-41-cloud-amd64', '6.1.0', '-41-cloud-amd64'],
  ['6.8.0-45-generic', '6.8.0', '-45-generic'],
  ['6.4.0-150600.23.53-default', '6.4.0', '-150600.23.53-default'],
  ['6.10.5-arch1-1', '6.10.5', '-arch1-1'],
  ['6.18.44-fc-v657', '6.18.44', '-fc-v657'],
  ['6.12-rc4', '6.12.0-rc.4', ''],
  ['7.0.0-rc1+', '7.0.0-rc.1', '+'],
  ['6.12.0-rcfoo', '6.12.0', '-rcfoo'],
  ['4.18.0-553.16.1.el8_10.x86_64', '4.18.0', '-553.16.1.el8_10.x86_64'],
  ['5.10.16.3-microsoft-standard-WSL2', '5.10.16', '.3-microsoft-standard-WSL2'],
  ['6.1', '6.1.0', ''],
])('%s is %s', (release, version, suffix) => {
  expect(parseKernelRelease(release)).toEqual({ version, suffix });
});

it.each(['', 'linux', '6', 'v6.1.0', '-6.1.0', '99999999999.1.0'])('%j is no release', (release) => {
  expect(parseKernelRelease(release)).toBeUndefined();
});

it.each([
  ['6.1.0-41-cloud-amd64', '#1 SMP PREEMPT_DYNAMIC Debian 6.1.158-1 (2025-11-09)', '6.1.158'],
  ['6.1.0-41-cloud-amd64', '#1 SMP', '6.1.0'],
  // not the same series: somebody else's text
  ['5.10.0-1', '#1 SMP Debian 6.1.158-1', '5.10.0'],
  ['x', '#1 SMP Debian 6.1.158-1', undefined],
])('%s with %s runs %s', (release, build, version) => {
  expect(runningVersion(release, build)).toBe(version);
});

it.each([
  ['6.1.158', '>=5.10', true],
  ['5.9.16', '>=5.10', false],
  ['6.1.0', '>=5.10 <6.1', false],
  ['7.0.0', '>=5.10 <8', true],
  ['6.12.0-rc.4', '>=6.12.0', false],
  ['6.12.0-rc.4', '<6.12.0', true],
  ['6.12.0-rc.4', '>=6.12.0-rc3', true],
  ['6.12.117', '6.12.x || 6.1.x', true],
])('%s in %s: %s', (version, range, inside) => {
  expect(versionInRange(version, range)).toBe(inside);
});

it.each(['>=6.1.0-41', 'latest-one', '>=6.x.y.z', '>=6.12.117-deb13', `>=5.10${' '.repeat(300)}`])(
  'refuses the range %j',
  (range) => {
    expect(rangeProblem(range)).toBeTypeOf('string');
  },
);

it.each(['>=5.10', '>=6.12-rc1', '5.10 - 6.12', '^6.1.0', '>=5.10 <6.2 || >=6.12'])(
  'takes the range %j',
  (range) => {
    expect(rangeProblem(range)).toBeUndefined();
  },
);

it('orders releases by their numbers', () => {
  const sorted = ['6.1.0-9-amd64', '6.1.0-41-amd64', '6.12.0-1', '6.1.0-41-cloud-amd64', '5.10.0-46'].sort(
    compareReleases,
  );
  expect(sorted).toEqual([
    '5.10.0-46',
    '6.1.0-9-amd64',
    '6.1.0-41-amd64',
    '6.1.0-41-cloud-amd64',
    '6.12.0-1',
  ]);
});
