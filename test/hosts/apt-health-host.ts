import { copyFileSync, mkdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { afterAll, expect } from 'vitest';
import { dkms } from '../../src/resources/dkms/index.ts';
import type { Input } from '../../src/resources/kind.ts';
import { upgradeHost } from './apt-health-root.ts';
import { type ChrootHost, chrootHost, type Outcome, planOn, runSteps } from './run-steps.ts';

export const { root, base, release, image, headers } = await upgradeHost();
const hosts: ChrootHost[] = [];
export const ko = `/lib/modules/${release}/updates/dkms/blkfleet_hello.ko`;

/** Hosts of the file's tests go with it. */
export function useAptHosts(): void {
  afterAll(() => {
    for (const made of hosts) made.remove();
  });
}

export function host(): ChrootHost {
  const made = chrootHost(root);
  hosts.push(made);
  mkdirSync(join(made.upper, 'debs'), { recursive: true });
  for (const file of [image, headers]) copyFileSync(file, join(made.upper, 'debs', basename(file)));
  return made;
}

/** apt as an administrator calls it, from the files alone: no network is needed. */
export function apt(there: ChrootHost, ...words: string[]): Promise<Outcome> {
  return there.run(`export DEBIAN_FRONTEND=noninteractive\napt-get -qy ${words.join(' ')} 2>&1`);
}

export const deb = (file: string) => `/debs/${basename(file)}`;

/** Brings the package in for the kernels that are there. */
export async function declare(there: ChrootHost, input: Input<unknown>): Promise<Outcome> {
  const { steps } = await planOn(there, dkms, input, await there.facts(base));
  return runSteps(there, steps);
}

export async function plan(there: ChrootHost, input: Input<unknown>) {
  return (await planOn(there, dkms, input, await there.facts(base))).plan;
}

export async function expectHealthy(there: ChrootHost): Promise<void> {
  expect((await there.run('dpkg --audit')).text).toBe('');
  const status = await there.run(
    `dpkg-query -W -f '\${db:Status-Abbrev}\\n' linux-image-${release} linux-headers-${release} | sort -u`,
  );
  expect(status.text).toBe('ii \n');
  const again = await apt(there, 'install', 'dkms');
  expect(again.rc, again.text).toBe(0);
}

export async function expectInitrd(there: ChrootHost): Promise<void> {
  const listed = await there.run(`lsinitramfs /boot/initrd.img-${release} | grep -c '\\.ko'`);
  expect(Number(listed.stdout.toString()), listed.text).toBeGreaterThan(20);
  expect((await there.run(`test -s /boot/vmlinuz-${release}`)).rc).toBe(0);
}
