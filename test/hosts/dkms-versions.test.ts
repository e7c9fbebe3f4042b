import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { dkms } from '../../src/resources/dkms/index.ts';
import type { Input } from '../../src/resources/kind.ts';
import { hello, NAME } from './dkms-hello.ts';
import { type DkmsRoot, dkmsRoot } from './dkms-root.ts';
import { type ChrootHost, chrootHost, planOn, runSteps } from './run-steps.ts';

// Beside bookworm's 3.0.10, which the other tests use: exit codes and words differ, what is on the disk must not.
describe.each([
  ['bullseye', '2.8.4'],
  ['trixie', '3.2.2'],
])('dkms of %s (%s)', (suite) => {
  let found: DkmsRoot;
  let installed: ChrootHost;
  const hosts: ChrootHost[] = [];

  const place = (kernel: string) =>
    `$(echo /lib/modules/${kernel}/updates/dkms/blkfleet_hello.ko /lib/modules/${kernel}/updates/dkms/blkfleet_hello.ko.xz | tr ' ' '\\n' | while read -r f; do [ ! -f "$f" ] || echo "$f"; done)`;
  const version = async (there: ChrootHost, kernel: string) =>
    (await there.run(`modinfo -k ${kernel} -F version blkfleet_hello`)).text;

  function host(): ChrootHost {
    const made = chrootHost(`${installed.upper}:${found.root}`);
    hosts.push(made);
    return made;
  }
  const plan = async (there: ChrootHost, input: Input<unknown>) =>
    planOn(there, dkms, input, await there.facts(found.kernel));
  const converge = async (there: ChrootHost, input: Input<unknown>) => {
    const before = await plan(there, input);
    const applied = await runSteps(there, before.steps);
    return { plan: before.plan, applied, after: (await plan(there, input)).plan };
  };

  beforeAll(async () => {
    found = await dkmsRoot(suite);
    installed = chrootHost(found.root);
    const { applied } = await converge(installed, hello());
    expect(applied.rc, applied.text).toBe(0);
  });
  afterEach(() => {
    for (const made of hosts.splice(0)) made.remove();
  });
  afterAll(() => installed?.remove());

  test('installs for both kernels, and has nothing to do then', async () => {
    const there = host();
    expect((await plan(there, hello())).plan).toMatchObject({ status: 'ok' });
    for (const kernel of [found.kernel, found.other]) expect(await version(there, kernel)).toBe('1.0\n');
  });

  test.each([
    ['deleted', (kernel: string) => `rm ${place(kernel)}`],
    ['replaced', (kernel: string) => `echo x > ${place(kernel)}`],
  ])('puts a module back that was %s by hand', async (_, harm) => {
    const there = host();
    await there.run(harm(found.kernel));
    const { plan, applied, after } = await converge(there, hello());
    expect(plan.status).toBe('change');
    expect(applied.rc, applied.text).toBe(0);
    expect(after.status).toBe('ok');
  });

  test('goes up a version and down again, by the file on the disk', async () => {
    const there = host();
    for (const wanted of ['1.1', '1.0']) {
      const { applied, after } = await converge(there, hello({ version: wanted }));
      expect(applied.rc, applied.text).toBe(0);
      expect(after.status).toBe('ok');
      expect(await version(there, found.other)).toBe(`${wanted}\n`);
    }
  });

  test('names the kernel that a source does not build for', async () => {
    const there = host();
    const { applied, after } = await converge(there, hello({ version: '1.1', broken: [found.other] }));
    expect(applied.rc).not.toBe(0);
    expect(after.status === 'change' && after.changes[0]).toMatchObject({
      path: `kernel.${found.other}.built`,
      reason: expect.stringContaining('it does not build here'),
    });
    expect(await version(there, found.other)).toBe('1.0\n');
    expect(await version(there, found.kernel)).toBe('1.1\n');
  });

  test('leaves no trace when absent', async () => {
    const there = host();
    const absent = { desired: dkms.schema.parse({ name: NAME, state: 'absent' }), assets: {} };
    const { applied, after } = await converge(there, absent);
    expect(applied.rc, applied.text).toBe(0);
    expect(after.status).toBe('ok');
    const left = await there.run(
      `find / -xdev \\( -name '*${NAME}*' -o -name '*blkfleet*' \\) ! -path '/proc/*' ! -path '/run/*'`,
    );
    expect(left.text).toBe('');
  });
});
