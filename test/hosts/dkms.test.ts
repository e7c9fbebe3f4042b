import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { dkms } from '../../src/resources/dkms/index.ts';
import { hello, NAME } from './dkms-hello.ts';
import { converge, KERNEL, ko, OTHER, paths, plan, root, treeText } from './dkms-host.ts';
import { type ChrootHost, chrootHost, planOn, runSteps } from './run-steps.ts';

/** a host on which 1.0 is installed for both kernels; never written to again */
let installed: ChrootHost;
const hosts: ChrootHost[] = [];

const absent = { desired: dkms.schema.parse({ name: NAME, state: 'absent' }), assets: {} };
const both = [
  `kernel.${KERNEL}.built`,
  `kernel.${KERNEL}.installed`,
  `kernel.${OTHER}.built`,
  `kernel.${OTHER}.installed`,
];

/** A host of its own for a test: bare, or with 1.0 installed. */
function host(from: 'bare' | 'installed', mounts = ''): ChrootHost {
  const made = chrootHost(from === 'bare' ? root : `${installed.upper}:${root}`, mounts);
  hosts.push(made);
  return made;
}

beforeAll(async () => {
  installed = chrootHost(root);
  const { applied } = await converge(installed, hello());
  expect(applied.rc, applied.text).toBe(0);
});

afterEach(() => {
  for (const made of hosts.splice(0)) made.remove();
});
afterAll(() => installed?.remove());

test('pristine to installed to nothing to do, and a probe writes nothing', async () => {
  const bare = host('bare');
  const before = await treeText(bare);
  const first = await plan(bare, hello());
  expect(paths(first)).toEqual(['source', 'registered', ...both, 'hooks']);
  expect(await treeText(bare)).toBe(before);
  const { applied, after } = await converge(bare, hello());
  expect(applied.rc, applied.text).toBe(0);
  expect(applied.text).toMatch(/CC \[M\]/);
  expect(after.status).toBe('ok');
  for (const kernel of [KERNEL, OTHER])
    expect((await bare.run(`modinfo -k ${kernel} -F vermagic blkfleet_hello`)).text).toMatch(`${kernel} `);
});

test('absent leaves no trace', async () => {
  const bare = host('bare');
  // depmod writes its indexes for any kernel that is there; make them part of the state before.
  await bare.run(`umask 022; depmod ${KERNEL}; depmod ${OTHER}`);
  const before = await treeText(bare);
  expect((await converge(bare, hello())).after.status).toBe('ok');
  expect(await treeText(bare)).not.toBe(before);
  const { applied, after } = await converge(bare, absent);
  expect(applied.rc, applied.text).toBe(0);
  expect(after.status).toBe('ok');
  expect(await treeText(bare)).toBe(before);
});

test('absent finds what dkms can not remove any more', async () => {
  const there = host('installed');
  await there.run(`rm -rf /usr/src/${NAME}-1.0`);
  const { applied, after } = await converge(there, absent);
  expect(applied.rc, applied.text).toBe(0);
  expect(after.status).toBe('ok');
  const left = await there.run(
    `ls -d /var/lib/dkms/${NAME} ${ko(KERNEL)} ${ko(OTHER)} /var/lib/blkfleet /etc/kernel/*/zz-blkfleet-dkms`,
  );
  expect(left.stdout.toString()).toBe('');
});

test('edited source under the same version is an error that names the file', async () => {
  const there = host('installed');
  await there.run(`echo '/* by hand */' >> /usr/src/${NAME}-1.0/blkfleet_hello.c`);
  const before = await treeText(there);
  const blocked = await plan(there, hello());
  expect(blocked).toMatchObject({ status: 'blocked', code: 'E_BLOCKED' });
  expect(blocked.status === 'blocked' && blocked.message).toContain('blkfleet_hello.c');
  expect(await treeText(there)).toBe(before);
});

test.each([
  ['deleted', `rm ${ko(KERNEL)}`],
  ['replaced', `head -c 4096 /dev/urandom > ${ko(KERNEL)}`],
  ['emptied', `: > ${ko(KERNEL)}`],
  [
    'shadowed',
    `mkdir -p /lib/modules/${KERNEL}/extra; echo x > /lib/modules/${KERNEL}/extra/blkfleet_hello.ko`,
  ],
])('an installed module that was %s by hand is put back, and only it', async (_, harm) => {
  const there = host('installed');
  await there.run(harm);
  const stamp = (await there.run(`stat -c %Y.%i ${ko(OTHER)}`)).text;
  const { plan, applied, after } = await converge(there, hello());
  expect(paths(plan)).toEqual([`kernel.${KERNEL}.installed`]);
  expect(applied.rc, applied.text).toBe(0);
  expect(applied.text).not.toContain('CC [M]');
  expect(after.status).toBe('ok');
  expect((await there.run(`stat -c %Y.%i ${ko(OTHER)}`)).text).toBe(stamp);
});

test('a module that depmod has lost is found again, without a build', async () => {
  const there = host('installed');
  await there.run(`mv ${ko(KERNEL)} /tmp/ko && depmod ${KERNEL} && mv /tmp/ko ${ko(KERNEL)}`);
  const { plan, applied, after } = await converge(there, hello());
  expect(plan).toMatchObject({
    changes: [{ path: `kernel.${KERNEL}.installed`, from: 'unknown to depmod' }],
  });
  expect(applied.rc, applied.text).toBe(0);
  expect(applied.text).not.toContain('CC [M]');
  expect(after.status).toBe('ok');
});

test('an archive with another content than was declared is refused before dkms runs its dkms.conf', async () => {
  const bare = host('bare');
  const { steps } = await planOn(bare, dkms, hello(), await bare.facts(KERNEL));
  const evil = hello({ conf: '\n' });
  const other = (await planOn(bare, dkms, evil, await bare.facts(KERNEL))).steps[0]!.payloads![0]!;
  const swapped = { ...steps[0]!, payloads: [{ ...steps[0]!.payloads![0]!, bytes: other.bytes }] };
  const applied = await runSteps(bare, [swapped]);
  expect(applied.rc).not.toBe(0);
  expect((await bare.run(`ls -A /usr/src /var/lib/dkms | grep -e ${NAME} -e blkfleet`)).text).toBe('');
});

test('a planted link at the place of the source is not followed', async () => {
  const bare = host('bare');
  await bare.run(`mkdir /tmp/elsewhere; ln -s /tmp/elsewhere /usr/src/${NAME}-1.0`);
  expect(await plan(bare, hello())).toMatchObject({ status: 'blocked' });
});

test('one dkms at a time: two jobs, and one that somebody else has started', async () => {
  const bare = host('bare');
  const { steps } = await planOn(bare, dkms, hello(), await bare.facts(KERNEL));
  const builds = steps.filter((step) => step.title.startsWith('build'));
  expect((await runSteps(bare, steps.slice(0, steps.indexOf(builds[0]!)))).rc).toBe(0);
  for (const [index, step] of builds.entries()) await bare.put(String(index), Buffer.from(step.script));
  const both = await bare.run(`sh -eu /run/bf/0 > /tmp/0 2>&1 & a=$!
sh -eu /run/bf/1 > /tmp/1 2>&1 & b=$!
wait $a; echo $?; wait $b; echo $?`);
  expect(both.stdout.toString()).toBe('0\n0\n');
  expect((await plan(bare, hello())).status).toBe('ok');
  const foreign = await bare.run(`dkms remove ${NAME}/1.0 --all >/dev/null; dkms add ${NAME}/1.0 >/dev/null
dkms build ${NAME}/1.0 -k ${OTHER} > /tmp/dkms 2>&1 & a=$!
while [ ! -e /var/lib/dkms/${NAME}/1.0/build ]; do sleep 0.01; done
sh -eu /run/bf/0 > /tmp/0 2>&1; echo $?; wait $a; echo $?; grep waiting /tmp/0`);
  expect(foreign.stdout.toString()).toMatch(/^0\n0\nwaiting for another dkms/);
});

test.each([
  ['an empty leftover of a crash', `rm -rf /var/lib/dkms/${NAME}/1.0/${KERNEL}/x86_64/*`],
  ['a leftover with a log only', `rm -rf /var/lib/dkms/${NAME}/1.0/${KERNEL}/x86_64/module`],
  [
    'a module of another source',
    `echo >> /var/lib/dkms/${NAME}/1.0/${KERNEL}/x86_64/module/blkfleet_hello.ko`,
  ],
  ['no record of its making', `rm -f /var/lib/blkfleet/dkms-built/${NAME}/1.0/${KERNEL}`],
])('%s in the tree is built again', async (_, harm) => {
  const there = host('installed');
  await there.run(harm);
  const { plan, applied, after } = await converge(there, hello());
  expect(paths(plan)).toEqual([`kernel.${KERNEL}.built`, `kernel.${KERNEL}.installed`]);
  expect(applied.rc, applied.text).toBe(0);
  expect(after.status).toBe('ok');
});

test('sources that vanished come back without a build', async () => {
  const there = host('installed');
  await there.run(`rm -rf /usr/src/${NAME}-1.0`);
  const { plan, applied, after } = await converge(there, hello());
  expect(paths(plan)).toEqual(['source', 'registered']);
  expect(applied.rc, applied.text).toBe(0);
  expect(applied.text).not.toContain('CC [M]');
  expect(after.status).toBe('ok');
});

test('a build that fails on one kernel fails the task, keeps the other, and is named by the next plan', async () => {
  const bare = host('bare');
  const { applied, after } = await converge(bare, hello({ broken: [OTHER] }));
  expect(applied.rc).not.toBe(0);
  expect(applied.failed?.title).toContain('check');
  expect(applied.text).toContain('#error "it does not build here"');
  expect(paths(after)).toEqual([`kernel.${OTHER}.built`, `kernel.${OTHER}.installed`]);
  expect(after.status === 'change' && after.changes[0]).toMatchObject({
    from: 'failed (rc 10)',
    to: '1.0',
    reason: expect.stringContaining('it does not build here'),
  });
  expect((await bare.run(`modinfo -k ${KERNEL} -F version blkfleet_hello`)).text).toBe('1.0\n');
});

test('an upgrade brings the new version in, then removes the old; the way back works too', async () => {
  const there = host('installed');
  const up = await converge(there, hello({ version: '1.1' }));
  expect(paths(up.plan)).toEqual(['source', 'registered', ...both, 'hooks', 'version.1.0']);
  expect(up.applied.rc, up.applied.text).toBe(0);
  expect(up.after.status).toBe('ok');
  expect((await there.run(`modinfo -k ${OTHER} -F version blkfleet_hello`)).text).toBe('1.1\n');
  expect((await there.run(`ls -d /usr/src/${NAME}-* /var/lib/dkms/${NAME}/[0-9]*`)).text).toBe(
    `/usr/src/${NAME}-1.1\n/var/lib/dkms/${NAME}/1.1\n`,
  );
  const down = await converge(there, hello());
  expect(down.applied.rc, down.applied.text).toBe(0);
  expect(down.after.status).toBe('ok');
  expect((await there.run(`modinfo -k ${OTHER} -F version blkfleet_hello`)).text).toBe('1.0\n');
});

test('an upgrade that does not build leaves the old version installed', async () => {
  const there = host('installed');
  const { applied } = await converge(there, hello({ version: '1.1', broken: ['%'] }));
  expect(applied.rc).not.toBe(0);
  const old = await there.run(
    `modinfo -k ${KERNEL} -F version blkfleet_hello; readlink /var/lib/dkms/${NAME}/kernel-${KERNEL}-x86_64`,
  );
  expect(old.text).toBe(`1.0\n1.0/${KERNEL}/x86_64\n`);
  const back = await converge(there, hello());
  expect(paths(back.plan)).toEqual(['hooks', 'version.1.1']);
  expect(back.applied.rc, back.applied.text).toBe(0);
  expect(back.after.status).toBe('ok');
});

test('a disk that is full under /lib/modules is a failure, though dkms says installed, and the old module comes back', async () => {
  const full = `mkdir -p "$root/lib/modules/${KERNEL}/updates/dkms"
mount -t tmpfs -o size=64k tmpfs "$root/lib/modules/${KERNEL}/updates/dkms"
head -c 65536 /dev/zero > "$root/lib/modules/${KERNEL}/updates/dkms/other" 2>/dev/null || :`;
  const there = host('bare', full);
  const { applied, after } = await converge(there, hello());
  expect(applied.rc).not.toBe(0);
  expect(applied.text).toContain(`blkfleet-hello 1.0 is NOT installed for ${KERNEL}`);
  expect(paths(after)).toContain(`kernel.${KERNEL}.installed`);
  expect(paths(after)).not.toContain(`kernel.${OTHER}.installed`);
});

test('a build that was killed in the middle converges with the next run', async () => {
  const bare = host('bare');
  const { steps } = await planOn(bare, dkms, hello(), await bare.facts(KERNEL));
  const build = steps.findIndex((step) => step.title.startsWith('build'));
  expect((await runSteps(bare, steps.slice(0, build))).rc).toBe(0);
  const log = join(bare.upper, `var/lib/dkms/${NAME}/1.0/build/make.log`);
  const cut = await bare.run(steps[build]!.script, {
    env: { BF_PAYLOAD: '/run/bf', BF_TMP: '/run/tmp' },
    killWhen: () => existsSync(log) && readFileSync(log, 'utf8').includes('CC [M]'),
  });
  expect(cut.rc).not.toBe(0);
  const left = await plan(bare, hello());
  expect(left.status === 'change' && left.changes[0]).toMatchObject({
    path: `kernel.${KERNEL}.built`,
    from: 'failed (rc 255)',
    reason: expect.stringContaining('cut off'),
  });
  const { applied, after } = await converge(bare, hello());
  expect(applied.rc, applied.text).toBe(0);
  expect(after.status).toBe('ok');
});

test('a kernel that the package excludes is not built, whatever this dkms makes of it', async () => {
  const bare = host('bare');
  const input = hello({ conf: 'BUILD_EXCLUSIVE_KERNEL="-cloud-"\nBUILD_EXCLUSIVE_KERNEL_MAX="6.9"\n' });
  const { applied, after } = await converge(bare, input);
  expect(applied.rc, applied.text).toBe(0);
  expect(after).toMatchObject({ status: 'ok', warnings: [expect.stringContaining(`${OTHER}: unsupported`)] });
  expect((await bare.run(`ls ${ko(OTHER)}`)).rc).not.toBe(0);
});
