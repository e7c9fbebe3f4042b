import { afterEach, beforeEach, expect, test } from 'vitest';
import { file } from '../../src/resources/file/index.ts';
import type { Input, ResourcePlan } from '../../src/resources/kind.ts';
import { dkmsRoot } from './dkms-root.ts';
import { type ChrootHost, chrootHost, planOn, runSteps, sha256 } from './run-steps.ts';

const { root } = await dkmsRoot();
let host: ChrootHost;

beforeEach(() => {
  host = chrootHost(root);
});
afterEach(() => host.remove());

function declare(desired: Record<string, unknown>, src?: Buffer): Input<unknown> {
  return {
    desired: file.schema.parse(src ? { ...desired, src: 'file' } : desired),
    assets: src ? { src: { sha256: sha256(src), bytes: src } } : {},
  };
}

async function plan(input: Input<unknown>): Promise<ResourcePlan> {
  return (await planOn(host, file, input, await host.facts())).plan;
}

async function converge(input: Input<unknown>) {
  const { plan: before, steps } = await planOn(host, file, input, await host.facts());
  const applied = await runSteps(host, steps);
  return { plan: before, applied, after: await plan(input) };
}

async function expectConverged(input: Input<unknown>): Promise<void> {
  const { applied, after } = await converge(input);
  expect(applied.rc, applied.text).toBe(0);
  expect(after).toMatchObject({ status: 'ok' });
}

const text = async (script: string) => (await host.run(script)).text;

test("users and groups are the host's own, by name; one that it does not have is an error", async () => {
  await host.run(
    'echo "vm-images:x:991:991::/nonexistent:/usr/sbin/nologin" >> /etc/passwd; echo "vm-images:x:991:" >> /etc/group',
  );
  const path = '/etc/vm.conf';
  await expectConverged(
    declare({ path, content: 'a\n', owner: 'vm-images', group: 'vm-images', mode: '0640' }),
  );
  expect(await text(`stat -c '%a %u %g' ${path}`)).toBe('640 991 991\n');
  const unknown = await converge(declare({ path, content: 'b\n', owner: 'nobody-knows' }));
  expect(unknown.applied.rc).not.toBe(0);
  expect(unknown.applied.text).toContain('is there such a user');
  expect(await text(`cat ${path}`)).toBe('a\n');
});

test('a link that is planted between plan and apply is refused, and what it points to is left alone', async () => {
  await host.run('mkdir -m 0777 /srv/open');
  const input = declare({ path: '/srv/open/x', content: 'mine\n' });
  const { steps } = await planOn(host, file, input, await host.facts());
  const shadow = await text('sha256sum /etc/shadow; stat -c "%a %u" /etc/shadow');
  await host.run('ln -s /etc/shadow /srv/open/x; chown -h 65534 /srv/open/x');
  const applied = await runSteps(host, steps);
  expect(applied.rc).not.toBe(0);
  expect(applied.text).toContain('changed since it was planned');
  // Also where the guard came too early.
  expect(
    (
      await runSteps(
        host,
        steps.map(({ guard: _, ...step }) => step),
      )
    ).rc,
  ).toBe(0);
  expect(await text('cat /srv/open/x')).toBe('mine\n');
  expect(await text('sha256sum /etc/shadow; stat -c "%a %u" /etc/shadow')).toBe(shadow);
});

test('a full disk leaves the old file whole, and nothing beside it', async () => {
  host.remove();
  host = chrootHost(
    root,
    'mkdir -p "$root/srv/small" "$base/keep" && mount -t tmpfs -o size=64k tmpfs "$root/srv/small" && echo old > "$root/srv/small/x"',
  );
  const { applied } = await converge(declare({ path: '/srv/small/x' }, Buffer.alloc(1 << 20, 'x')));
  expect(applied.rc).not.toBe(0);
  expect(applied.text).toContain('no space');
  const input = declare({ path: '/srv/small/x' }, Buffer.alloc(1 << 20, 'x'));
  const { steps } = await planOn(host, file, input, await host.facts());
  await host.put(sha256(Buffer.alloc(1 << 20, 'x')), Buffer.alloc(1 << 20, 'x'));
  const both = await host.run(`export BF_PAYLOAD=/run/bf
sh -eu -c "$(cat <<'BF_END'
${steps[0]!.script}
BF_END
)" 2>/dev/null; cat /srv/small/x; find /srv/small -mindepth 1`);
  expect(both.text).toBe('old\n/srv/small/x\n');
});

test('content of any bytes arrives as it is, and is told apart later', async () => {
  const bytes = Buffer.from(Array.from({ length: 4096 }, (_v, i) => i % 256));
  const input = declare({ path: '/etc/blob', mode: '0600' }, bytes);
  await expectConverged(input);
  expect(await text('sha256sum < /etc/blob | cut -c 1-64')).toBe(`${sha256(bytes)}\n`);
  await host.run('printf x >> /etc/blob');
  const drift = await plan(input);
  expect(drift).toMatchObject({ status: 'change', changes: [{ path: '/etc/blob content' }] });
  expect(JSON.stringify(drift)).not.toContain('diff');
});

test('a file larger than what is hashed by default converges all the same', async () => {
  const bytes = Buffer.alloc(65 << 20, 'blkfleet');
  const input = declare({ path: '/srv/large' }, bytes);
  await expectConverged(input);
  await host.run('printf y | dd of=/srv/large bs=1 seek=1000 conv=notrunc status=none');
  expect((await plan(input)).status).toBe('change');
  await host.run('head -c 1000 /dev/zero >> /srv/large');
  expect((await plan(input)).status).toBe('change');
});

test('a folder with setgid: files in it take its group, and a declared mode is just that', async () => {
  await host.run('mkdir /srv/shared; chgrp disk /srv/shared; chmod 2775 /srv/shared');
  await expectConverged(declare({ path: '/srv/shared/f', content: 'a' }));
  await expectConverged(declare({ path: '/srv/shared/kept', state: 'directory' }));
  await expectConverged(declare({ path: '/srv/shared/plain', state: 'directory', mode: '0755' }));
  expect(await text("cd /srv/shared; stat -c '%a %G' f kept plain")).toBe('644 disk\n2755 disk\n755 disk\n');
  await expectConverged(declare({ path: '/srv/shared', state: 'directory', mode: '0775' }));
  expect(await text("stat -c '%a' /srv/shared")).toBe('775\n');
});

test('folder, link and absent leave nothing of ours behind', async () => {
  const entries = () => text("cd / && find srv etc -printf '%y %m %U:%G %p %l\\n' | sort");
  const before = await entries();
  await expectConverged(declare({ path: '/srv/d', state: 'directory', mode: '2770', group: 'disk' }));
  await expectConverged(declare({ path: '/srv/d/link', state: 'link', target: '../x y' }));
  await expectConverged(declare({ path: '/srv/d/f', content: 'a' }));
  expect(await text("stat -c '%a %G %F' /srv/d; readlink /srv/d/link; find /srv -name '.*'")).toBe(
    '2770 disk directory\n../x y\n',
  );
  expect(await plan(declare({ path: '/srv/d', state: 'absent' }))).toMatchObject({ status: 'blocked' });
  await expectConverged(declare({ path: '/srv/d', state: 'absent', recurse: true }));
  expect(await entries()).toBe(before);
});
