import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { dkms } from '../../src/resources/dkms/index.ts';
import type { Input } from '../../src/resources/kind.ts';
import { upgradeHost } from './apt-health-root.ts';
import { hello, NAME } from './dkms-hello.ts';
import { type ChrootHost, chrootHost, type Outcome, planOn, runSteps } from './run-steps.ts';

const { root, base, release, image, headers } = await upgradeHost();
const hosts: ChrootHost[] = [];
const ko = `/lib/modules/${release}/updates/dkms/blkfleet_hello.ko`;

afterAll(() => {
  for (const made of hosts) made.remove();
});

function host(): ChrootHost {
  const made = chrootHost(root);
  hosts.push(made);
  mkdirSync(join(made.upper, 'debs'), { recursive: true });
  for (const file of [image, headers]) copyFileSync(file, join(made.upper, 'debs', basename(file)));
  return made;
}

/** apt as an administrator calls it, from the files alone: no network is needed. */
function apt(there: ChrootHost, ...words: string[]): Promise<Outcome> {
  return there.run(`export DEBIAN_FRONTEND=noninteractive\napt-get -qy ${words.join(' ')} 2>&1`);
}

const deb = (file: string) => `/debs/${basename(file)}`;

/** Brings the package in for the kernels that are there. */
async function declare(there: ChrootHost, input: Input<unknown>): Promise<Outcome> {
  const { steps } = await planOn(there, dkms, input, await there.facts(base));
  return runSteps(there, steps);
}

async function plan(there: ChrootHost, input: Input<unknown>) {
  return (await planOn(there, dkms, input, await there.facts(base))).plan;
}

async function expectHealthy(there: ChrootHost): Promise<void> {
  expect((await there.run('dpkg --audit')).text).toBe('');
  const status = await there.run(
    `dpkg-query -W -f '\${db:Status-Abbrev}\\n' linux-image-${release} linux-headers-${release} | sort -u`,
  );
  expect(status.text).toBe('ii \n');
  const again = await apt(there, 'install', 'dkms');
  expect(again.rc, again.text).toBe(0);
}

async function expectInitrd(there: ChrootHost): Promise<void> {
  const listed = await there.run(`lsinitramfs /boot/initrd.img-${release} | grep -c '\\.ko'`);
  expect(Number(listed.stdout.toString()), listed.text).toBeGreaterThan(20);
  expect((await there.run(`test -s /boot/vmlinuz-${release}`)).rc).toBe(0);
}

describe('a source that does not build for the new kernel', () => {
  const broken = hello({ broken: [release] });
  let there: ChrootHost;
  let upgrade: Outcome;

  beforeAll(async () => {
    there = host();
    const made = await declare(there, broken);
    expect(made.rc, made.text).toBe(0);
    upgrade = await apt(there, 'install', deb(image), deb(headers));
  });

  test('the kernel package installs with 0, has its initrd, and apt goes on', async () => {
    expect(upgrade.rc, upgrade.text).toBe(0);
    expect(upgrade.text).toContain(`NOT built for ${release}`);
    await expectInitrd(there);
    await expectHealthy(there);
  });

  test('the next plan names that kernel and why, and no other', async () => {
    const after = await plan(there, broken);
    expect(after.status === 'change' && after.changes).toMatchObject([
      {
        path: `kernel.${release}.built`,
        from: 'failed (rc 10)',
        to: '1.0',
        reason: expect.stringMatching(/by the kernel hook.*it does not build here/),
      },
      { path: `kernel.${release}.installed`, from: null },
    ]);
  });

  test('a version that builds there mends it', async () => {
    const fixed = await declare(there, hello({ version: '1.1' }));
    expect(fixed.rc, fixed.text).toBe(0);
    expect((await plan(there, hello({ version: '1.1' }))).status).toBe('ok');
    expect((await there.run(`modinfo -F version ${ko}`)).text).toBe('1.1\n');
  });
});

describe('a source that builds', () => {
  const input = hello();
  let there: ChrootHost;

  beforeAll(async () => {
    there = host();
    const made = await declare(there, input);
    expect(made.rc, made.text).toBe(0);
  });

  test('an image without headers installs; the plan says what it waits for', async () => {
    const upgrade = await apt(there, 'install', deb(image));
    expect(upgrade.rc, upgrade.text).toBe(0);
    await expectInitrd(there);
    expect(await plan(there, input)).toMatchObject({
      status: 'ok',
      warnings: [expect.stringContaining(`${release}: not built, it has no headers`)],
    });
  });

  test('the headers bring the module, by the hook alone', async () => {
    const upgrade = await apt(there, 'install', deb(headers));
    expect(upgrade.rc, upgrade.text).toBe(0);
    expect((await there.run(`modinfo -F vermagic ${ko}`)).text).toMatch(`${release} `);
    expect((await there.run(`modinfo -k ${release} -F filename blkfleet_hello`)).text).toBe(`${ko}\n`);
    expect((await plan(there, input)).status).toBe('ok');
    await expectHealthy(there);
  });

  test('a kernel that goes takes its module and our notes along', async () => {
    const purge = await apt(there, 'purge', `linux-image-${release}`, `linux-headers-${release}`);
    expect(purge.rc, purge.text).toBe(0);
    const left = await there.run(
      `find /lib/modules/${release} /var/lib/blkfleet/*/${NAME} /var/lib/dkms/${NAME} -name '*${release}*' 2>/dev/null`,
    );
    expect(left.text).toBe('');
    expect((await plan(there, input)).status).toBe('ok');
  });
});

test('a package whose only kernel goes comes with the next one', async () => {
  const there = host();
  const input = hello({ conf: 'BUILD_EXCLUSIVE_KERNEL="-cloud-"\n' });
  expect((await apt(there, 'install', deb(image), deb(headers))).rc).toBe(0);
  expect((await declare(there, input)).rc).toBe(0);
  const purge = await apt(there, 'purge', `linux-image-${release}`, `linux-headers-${release}`);
  expect(purge.rc, purge.text).toBe(0);
  expect((await plan(there, input)).status).toBe('blocked');
  const next = await apt(there, 'install', deb(image), deb(headers));
  expect(next.rc, next.text).toBe(0);
  expect((await there.run(`modinfo -k ${release} -F filename blkfleet_hello`)).text).toBe(`${ko}\n`);
  expect((await plan(there, input)).status).toBe('ok');
});

test('the same source left to dkms breaks apt here: what our hooks keep away', async () => {
  const there = host();
  const source = `/usr/src/${NAME}-1.0`;
  const { desired: _, assets } = hello({ broken: [release], conf: 'AUTOINSTALL="yes"\n' });
  for (const { path, bytes } of assets.source!.files!) {
    mkdirSync(join(there.upper, source), { recursive: true });
    writeFileSync(join(there.upper, source, path), bytes);
  }
  const added = await there.run(`dkms add ${NAME}/1.0`);
  expect(added.rc, added.text).toBe(0);
  const upgrade = await apt(there, 'install', deb(image), deb(headers));
  expect(upgrade.rc, upgrade.text).toBe(100);
  const status = await there.run(`dpkg-query -W -f '\${db:Status-Abbrev}' linux-image-${release}`);
  expect(status.text).toBe('iF ');
  expect((await there.run(`test -e /boot/initrd.img-${release}`)).rc).not.toBe(0);
});
