import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import {
  apt,
  deb,
  declare,
  expectHealthy,
  expectInitrd,
  headers,
  host,
  image,
  ko,
  plan,
  release,
  useAptHosts,
} from './apt-health-host.ts';
import { hello, NAME } from './dkms-hello.ts';
import type { ChrootHost, Outcome } from './run-steps.ts';

useAptHosts();

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
