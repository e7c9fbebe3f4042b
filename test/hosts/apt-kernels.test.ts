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
import type { ChrootHost } from './run-steps.ts';

useAptHosts();

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
