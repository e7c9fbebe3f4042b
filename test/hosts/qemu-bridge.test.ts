import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { qemuDriveDefaults } from '../../src/resources/qemu_drive_defaults/index.ts';
import { converge, declare, paths, planFor, qemuRoots, rootFolder, warnings } from './qemu-roots.ts';
import { type ChrootHost, chrootHost, planOn, runSteps } from './run-steps.ts';
import { STATE, systemctl } from './unit-stand-in.ts';

/** A /dev with /dev/vhost-blk, which is looked at only, and a /run/vhost-blk that lasts. */
const MOUNTS = `umount -l "$root/dev"; mount -t tmpfs tmpfs "$root/dev"
for n in 'null 1 3' 'zero 1 5' 'urandom 1 9' 'vhost-blk 1 3'; do set -- $n; mknod -m 666 "$root/dev/$1" c $2 $3; done
ln -s /proc/self/fd "$root/dev/fd"
mkdir -p "$base/sockets" "$root/run/systemd/system" "$root/run/vhost-blk"
mount --bind "$base/sockets" "$root/run/vhost-blk"`;
const CONF = '/etc/blkfleet/disks.d/web1.conf';
const UNIT = 'vhost-blk@web1.service';
const WANTS = `/etc/systemd/system/multi-user.target.wants/${UNIT}`;

let lower: string;
let host: ChrootHost;
beforeAll(async () => {
  lower = await rootFolder(qemuRoots[0]);
});
beforeEach(async () => {
  host = chrootHost(lower, MOUNTS);
  place('/usr/local/bin/systemctl', systemctl, 0o755);
  place('/etc/systemd/system/vhost-blk@.service', '[Service]\n');
  await sh('truncate -s 1M /srv/web1 /srv/other');
});
afterEach(() => host.remove());

function place(path: string, text: string, mode = 0o644): void {
  const file = join(host.upper, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
  chmodSync(file, mode);
}

async function sh(script: string): Promise<string> {
  const { rc, text } = await host.run(script);
  if (rc !== 0) throw new Error(`${script}: ${text}`);
  return text;
}

const web1 = (more: Record<string, unknown> = {}, source = '/srv/web1') =>
  declare({ disks: [{ name: 'web1', source }], ...more });
const guest = () => sh(`touch ${STATE}/web1.guest`);
const guestEnds = () => sh(`rm ${STATE}/web1.guest`);
/** What was asked of systemd since the last look, but for questions. */
const asked = async () =>
  (await sh(`cat ${STATE}/asked; rm ${STATE}/asked`))
    .split('\n')
    .filter((line) => /^(?:start|restart|stop)/.test(line));

/** Plans and applies; the verdict that a second plan comes to. */
async function apply(input: ReturnType<typeof declare>) {
  const { plan, steps } = await planOn(host, qemuDriveDefaults, input, await host.facts());
  const applied = await runSteps(host, steps);
  return { plan, applied, after: await planFor(host, input) };
}

test('a declared disk is served now and at boot; undone, nothing of it stays', async () => {
  const first = await planFor(host, web1());
  expect(paths(first)).toEqual(expect.arrayContaining([CONF, UNIT, `${UNIT} at boot`]));
  expect((await host.run(`ls ${CONF} ${WANTS}`)).rc).not.toBe(0);
  const { after } = await converge(host, web1());
  expect('notes' in after && after.notes![0]).toMatch(
    /root or a member of the group kvm:\n.*disks\/web1\.conf$/,
  );
  expect(await sh(`cat ${CONF}; readlink ${WANTS}; stat -c %a ${CONF}`)).toMatch(
    /^# Part of blkfleet, .*\ndisk = \/srv\/web1\ndiscard = yes\n\/etc\/systemd\/system\/vhost-blk@\.service\n644\n$/,
  );
  expect(await asked()).toEqual([`start ${UNIT}`]);
  await converge(host, declare({ state: 'absent' }));
  expect(await asked()).toEqual([`stop ${UNIT}`]);
  expect(
    await sh(`ls -d /etc/blkfleet ${WANTS} /var/lib/blkfleet 2>/dev/null; ls -A /run/vhost-blk; :`),
  ).toBe('');
});

test('each way in which it differs is drift, and mended alone', async () => {
  await converge(host, web1());
  await asked();
  for (const [edit, changes, verbs] of [
    [`echo 'queues = 1' >> ${CONF}`, [CONF, UNIT], [`restart ${UNIT}`]],
    [`rm ${WANTS}`, [`${UNIT} at boot`], []],
    [`systemctl stop ${UNIT}`, [UNIT], [`stop ${UNIT}`, `start ${UNIT}`]],
    [`echo /srv/other > ${STATE}/web1.disk`, [UNIT], [`restart ${UNIT}`]],
    [`rm /run/vhost-blk/web1.sock`, [UNIT], [`restart ${UNIT}`]],
    [`sleep 0.1; touch ${CONF}`, [UNIT], [`restart ${UNIT}`]],
  ] as const) {
    await sh(edit);
    const { before } = await converge(host, web1());
    expect(paths(before), edit).toEqual(changes);
    expect(await asked(), edit).toEqual(verbs);
  }
});

test('another disk is not put below a guest; when it has ended, it is', async () => {
  await converge(host, web1());
  await guest();
  await asked();
  const other = web1({}, '/srv/other');
  const { after } = await apply(other);
  expect(after).toMatchObject({ status: 'held', state: 'pending-drain' });
  expect(await sh(`cat ${CONF}`)).toContain('/srv/web1');
  expect(await asked()).toEqual([]);
  await guestEnds();
  await converge(host, other);
  expect(await asked()).toEqual([`restart ${UNIT}`]);
});

test('a restart that a guest does not notice is made; one that takes discard from it waits', async () => {
  await converge(host, web1({ discard: 'ignore' }));
  await guest();
  await asked();
  await converge(host, web1());
  expect(await asked()).toEqual([`restart ${UNIT}`]);
  expect((await apply(web1({ discard: 'ignore' }))).after).toMatchObject({ status: 'held' });
  expect(await sh(`cat ${CONF}`)).toContain('discard = yes');
});

test('a disk that is not declared any more stays with its guest, but for the next boot', async () => {
  await converge(host, web1());
  await guest();
  await asked();
  const { plan, after } = await apply(declare());
  expect(warnings(plan).join()).toContain('a guest is connected');
  expect(after).toMatchObject({ status: 'held', state: 'pending-drain' });
  expect(await sh(`ls ${CONF} /run/vhost-blk/web1.sock; ls ${WANTS} 2>/dev/null; :`)).toBe(
    `${CONF}\n/run/vhost-blk/web1.sock\n`,
  );
  expect((await apply(declare({ state: 'absent' }))).after).toMatchObject({ status: 'held' });
  await guestEnds();
  expect(await asked()).toEqual([]);
  expect((await apply(declare({ state: 'absent' }))).after).toMatchObject({ status: 'ok' });
  expect(await asked()).toEqual([`stop ${UNIT}`]);
});

test('a guest that connects between the plan and its step keeps its disk', async () => {
  await converge(host, web1());
  await sh(`touch ${STATE}/web1.comes`);
  await asked();
  const { applied, after } = await apply(declare());
  expect(applied.rc).not.toBe(0);
  expect(applied.text).toContain('a guest has connected since it was planned');
  expect(await asked()).toEqual([]);
  expect(await sh(`ls /run/vhost-blk ${CONF}`)).toContain('web1.sock\n');
  expect(after.status).toBe('held');
});

test('a disk that is not there: told, and nothing is written; with a file that does not start it goes on by the former', async () => {
  const missing = await apply(web1({}, '/srv/missing'));
  expect(missing.applied.text).toContain('web1: /srv/missing is not there');
  expect((await host.run(`ls ${CONF}`)).rc).not.toBe(0);
  await converge(host, web1());
  // There for the check, and not for the unit.
  const { steps } = await planOn(host, qemuDriveDefaults, web1({}, '/srv/other'), await host.facts());
  place('/usr/local/bin/systemctl', systemctl.replace('[ -e "$disk" ]', '[ "$disk" != /srv/other ]'), 0o755);
  await asked();
  const failed = await runSteps(host, steps);
  expect(failed.text).toContain(`${UNIT} does not start`);
  expect(failed.text).toContain('its file is the former one again');
  expect(await asked()).toEqual([`restart ${UNIT}`, `restart ${UNIT}`]);
  expect((await planFor(host, web1())).status).toBe('change');
  expect(await sh(`ls /etc/blkfleet/disks.d; cat ${CONF} ${STATE}/web1.state`)).toMatch(
    /^web1\.conf\n.*\ndisk = \/srv\/web1\n.*\nactive\n$/,
  );
});

test("others' files: the same disk is taken as it is and stays; another disk stops the host", async () => {
  place(CONF, 'disk = /srv/web1\nqueues = 8\n');
  await converge(host, web1());
  expect(await sh(`cat ${CONF}`)).toBe('disk = /srv/web1\nqueues = 8\n');
  await converge(host, declare({ state: 'absent' }));
  expect(await sh(`cat ${CONF}; ls ${WANTS}`)).toBe(`disk = /srv/web1\nqueues = 8\n${WANTS}\n`);
  place(CONF, 'disk = /srv/other\n');
  expect(await planFor(host, web1())).toMatchObject({ status: 'blocked' });
});

test('steps run twice do no harm; a file that changed since the plan stops them', async () => {
  const { steps } = await planOn(host, qemuDriveDefaults, web1(), await host.facts());
  expect((await runSteps(host, steps)).rc).toBe(0);
  expect((await runSteps(host, steps)).rc).toBe(0);
  expect((await planFor(host, web1())).status).toBe('ok');
  const other = await planOn(host, qemuDriveDefaults, web1({ discard: 'ignore' }), await host.facts());
  await sh(`echo 'queues = 1' >> ${CONF}`);
  expect((await runSteps(host, other.steps)).text).toContain('changed since it was planned');
});
