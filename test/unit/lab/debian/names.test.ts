import { expect, test } from 'vitest';
import { isOfFlavour } from '../../../../src/lab/debian/package.ts';
import { rootKey } from '../../../../src/lab/debian/root.ts';

test.each([
  ['6.1.0-56-cloud-amd64', 'cloud-amd64', true],
  ['6.1.0-56-cloud-amd64', 'amd64', false],
  ['6.1.0-56-amd64', 'amd64', true],
  ['6.12.117+deb12-cloud-amd64', 'cloud-amd64', true],
  ['6.12.117+deb12-amd64-unsigned', 'amd64', false],
  ['6.1.0-56-rt-amd64', 'amd64', false],
  ['cloud-amd64', 'cloud-amd64', false],
])('%s is of the flavour %s: %s', (release, flavour, answer) => {
  expect(isOfFlavour(release, flavour)).toBe(answer);
});

test('a root is known by what is in it, not by the order of its packages', () => {
  const spec = { suite: 'bookworm', include: ['a', 'b'] };
  expect(rootKey({ ...spec, include: ['b', 'a'] })).toBe(rootKey(spec));
  const others = [
    { ...spec, suite: 'trixie' },
    { ...spec, include: ['a'] },
    { ...spec, setup: 'true' },
    { ...spec, setupFiles: { '/etc/x': 'y' } },
    { ...spec, keepLists: true },
  ];
  expect(new Set([spec, ...others].map(rootKey)).size).toBe(others.length + 1);
});
