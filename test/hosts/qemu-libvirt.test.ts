import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { qemuDriveDefaults } from '../../src/resources/qemu_drive_defaults/index.ts';
import { libvirtDaemon } from '../setup/libvirt-daemon.ts';
import { converge, declare, paths, planFor, qemuRoots, rootFolder, warnings } from './qemu-roots.ts';
import { type ChrootHost, chrootHost, planOn, runSteps } from './run-steps.ts';

const OWN_DEV = `umount -l "$root/dev"; mount -t tmpfs tmpfs "$root/dev"
for n in 'null 1 3' 'zero 1 5' 'urandom 1 9' 'random 1 8' 'vhost-blk 1 3'; do set -- $n; mknod -m 666 "$root/dev/$1" c $2 $3; done
mkdir "$root/dev/shm" "$root/dev/pts"
mount --bind -o ro /sys "$root/sys"
ln -s /proc/self/fd "$root/dev/fd"`;

const DOMAIN = (name: string, disks: string) => `<domain type='qemu'>
  <name>${name}</name>
  <description>a &amp; b &lt;driver cache='unsafe'/&gt; \xc3\xa9</description>
  <memory unit='MiB'>64</memory>
  <vcpu>3</vcpu>
  <os><type arch='x86_64' machine='q35'>hvm</type></os>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    ${disks}
  </devices>
</domain>
`;
const VDA = (source: string, more = '') =>
  `<disk type='block' device='disk'><driver name='qemu' type='raw'/><source dev='${source}'/><target dev='vda' bus='virtio'/>${more}</disk>`;
const VDB = `<disk type='file' device='disk'><driver name='qemu' type='qcow2' cache='writeback'/><source file='/srv/b.qcow2'/><target dev='vdb' bus='virtio'/></disk>`;
const SDA = `<disk type='file' device='disk'><source file='/srv/s.img'/><target dev='sda' bus='sata'/></disk>`;

const URI = 'qemu:///system';

describe.each(qemuRoots.filter(({ libvirt }) => libvirt !== null))(
  'libvirt $libvirt with QEMU $qemu',
  (root) => {
    let folder: string;
    let host: ChrootHost;
    /** sh text behind the daemon's start */
    let prepare: string;
    beforeAll(async () => {
      folder = await rootFolder(root);
    });
    beforeEach(() => {
      const bare = chrootHost(folder, OWN_DEV);
      prepare = '';
      // The script is not process 1: that one has to reap what libvirt starts and orphans, or libvirt waits for it.
      const run: ChrootHost['run'] = (script, options) =>
        bare.run(
          `${libvirtDaemon}{ ${prepare}\n:; } >/dev/null 2>&1
cat > /run/inner <<'end_of_inner'
${script}
end_of_inner
sh ${options?.env?.BF_PAYLOAD ? '-eu' : '+e'} /run/inner </dev/null &
rc=0; wait $! || rc=$?
exit $rc
`,
          options,
        );
      host = { ...bare, run };
    });
    afterEach(() => host.remove());

    function place(path: string, text: string): void {
      const file = join(host.upper, path);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, Buffer.from(text, 'latin1'));
      chmodSync(file, 0o644);
    }
    async function define(name: string, disks: string): Promise<void> {
      place('/srv/domain.xml', DOMAIN(name, disks));
      const { rc, text } = await host.run(`virsh -c ${URI} define /srv/domain.xml`);
      expect(rc, text).toBe(0);
    }
    const dump = async (name: string) =>
      (await host.run(`virsh -c ${URI} dumpxml --inactive '${name}'`)).stdout.toString('latin1');

    const policy = (domains: readonly string[], more: object = {}) =>
      declare({ queues: 2, queue_size: 512, libvirt: { domains }, ...more });

    test('chosen domains get the profile, as QEMU gets it; others stay; absent gives back every byte', async () => {
      await define('web 1', VDA('/dev/vg/web1', '<serial>abc</serial>') + VDB + SDA);
      await define('db', VDA('/dev/vg/db'));
      const [web, db] = [await dump('web 1'), await dump('db')];
      const input = policy(['web*']);
      const { before, after } = await converge(host, input);
      const drift = 'changes' in before ? before.changes.filter(({ path }) => path.startsWith('domain')) : [];
      expect(drift.map(({ path }) => path)).toEqual([
        'domain web 1 vda',
        'domain web 1 vdb',
        'domain web 1 iothreads',
      ]);
      expect(drift[1]).toMatchObject({
        from: expect.stringContaining('cache=writeback'),
        to: expect.stringContaining('cache=none'),
      });
      expect(warnings(after)).toEqual(['domain web 1 sda: on the bus sata, not virtio']);
      expect(after).toMatchObject({
        guestVisible: { 'domain web 1 vda queues': '2', 'domain web 1 vda queue_size': '512' },
      });
      const { text } = await host.run(`virsh -c ${URI} domxml-to-native qemu-argv --domain 'web 1'`);
      expect(text.match(/"num-queues":2,[^}]*"queue-size":512|"queue-size":512/g)).toHaveLength(2);
      expect(text.match(/"aio":"native"/g)).toHaveLength(2);
      expect(text.match(/iothread-vq-mapping/g) ?? []).toHaveLength(root.qemu === '7.2' ? 0 : 2);
      expect(await dump('db')).toBe(db);

      // A hand edit is drift of that disk, and is mended.
      await host.run(
        `virsh -c ${URI} dumpxml --inactive 'web 1' | sed "s/discard='unmap'/discard='ignore'/" > /run/x.xml; virsh -c ${URI} define /run/x.xml`,
      );
      const edited = await planFor(host, input);
      expect('changes' in edited && edited.changes).toMatchObject([
        { path: 'domain web 1 vda', from: 'discard=ignore', to: 'discard=unmap' },
        { path: 'domain web 1 vdb', from: 'discard=ignore', to: 'discard=unmap' },
      ]);
      await converge(host, input);

      await converge(host, declare({ state: 'absent' }));
      expect(await dump('web 1')).toBe(web);
      expect((await host.run('ls -d /var/lib/blkfleet')).rc).not.toBe(0);
    });

    test('a disk that the bridge serves goes behind its socket, with shared memory and a rule for AppArmor', async () => {
      place('/usr/lib/systemd/system/vhost-blk@.service', '[Service]\n');
      place('/etc/blkfleet/disks.d/web1.conf', 'disk = /dev/vg/web1\nsocket = /run/vhost-blk/web1.sock\n');
      place('/etc/apparmor.d/abstractions/libvirt-qemu', '  #include <local/abstractions/libvirt-qemu>\n');
      place('/etc/apparmor.d/local/abstractions/libvirt-qemu', '# mine\n');
      await define('web1', VDA('/dev/vg/web1', "<boot order='1'/>").replace('raw', 'raw') + VDB);
      await define('kept', VDA('/dev/vg/web1', '<serial>abc</serial>'));
      const original = await dump('web1');
      const { after } = await converge(host, policy(['web1', 'kept']));
      expect(warnings(after)).toEqual([
        'domain kept vda: libvirt refuses <serial> behind a socket: it goes by virtio-blk',
      ]);
      const xml = await dump('web1');
      expect(xml).toMatch(
        /<disk type='vhostuser' device='disk'[^>]*>[\s\S]*path='\/run\/vhost-blk\/web1\.sock'[\s\S]*<reconnect enabled='yes'/,
      );
      expect(xml).toMatch(/<memoryBacking>[\s\S]*memfd[\s\S]*<access mode='shared'\/>/);
      expect(xml).toContain("<boot order='1'/>");
      const { text } = await host.run(
        `virsh -c ${URI} domxml-to-native qemu-argv --domain web1; cat /etc/apparmor.d/local/abstractions/libvirt-qemu`,
      );
      expect(text).toMatch(
        /vhost-user-blk-pci[^}]*"num-queues":2[^}]*"queue-size":512|vhost-user-blk-pci[^}]*"queue-size":512/,
      );
      expect(text).toMatch(/# mine\n# BEGIN blkfleet[\s\S]*\/run\/vhost-blk\/\*\.sock rw,/);
      // Declared otherwise, it is a block device again.
      await converge(host, policy(['web1', 'kept'], { data_path: 'virtio-blk' }));
      expect(await dump('web1')).toMatch(/<disk type='block' device='disk'>[\s\S]*cache='none'/);
      await converge(host, declare({ state: 'absent' }));
      expect(await dump('web1')).toBe(original);
      expect((await host.run('cat /etc/apparmor.d/local/abstractions/libvirt-qemu')).text).toBe('# mine\n');
    });

    // What follows depends on no version.
    const once = test.skipIf(root.libvirt !== '11.3');

    once('a guest that runs is not touched', async () => {
      place('/srv/a.img', '\0'.repeat(1_048_576));
      await define(
        'runs',
        VDA('/dev/null')
          .replace("type='block'", "type='file'")
          .replace("dev='/dev/null'", "file='/srv/a.img'"),
      );
      prepare = `virsh -c ${URI} start --paused runs`;
      const live = async () =>
        (await host.run(`virsh -c ${URI} domstate runs; virsh -c ${URI} dumpxml runs | grep '<driver'`)).text;
      const before = await live();
      expect(before).toContain('paused');
      const { plan, steps } = await planOn(host, qemuDriveDefaults, policy(['runs']), await host.facts());
      expect(warnings(plan)).toContain(
        'domain runs runs: it is not touched, and has the new values from its next start',
      );
      // The guest lives as long as the script, so what it had is asked in the script that changes its definition.
      const step = steps[0]!;
      const applied = await runSteps(host, [
        {
          ...step,
          script: `(${step.script})\nvirsh -c ${URI} domstate runs; virsh -c ${URI} dumpxml runs | grep '<driver' > /srv/live\n`,
        },
        ...steps.slice(1),
      ]);
      expect(applied.rc, applied.text).toBe(0);
      expect(applied.text).toContain('paused');
      expect((await host.run('cat /srv/live')).text).not.toContain('queue_size');
      expect(await dump('runs')).toContain("queue_size='512'");
    });

    once(
      'a definition that changed since the plan stops the step; no domain of the name is said',
      async () => {
        await define('web1', VDA('/dev/vg/web1'));
        const { steps } = await planOn(host, qemuDriveDefaults, policy(['web1']), await host.facts());
        await define('other', VDA('/dev/vg/o'));
        await host.run(
          `virsh -c ${URI} dumpxml --inactive web1 | sed 's/65536/131072/' > /run/x.xml; virsh -c ${URI} define /run/x.xml`,
        );
        const applied = await runSteps(host, steps);
        expect(applied.rc).not.toBe(0);
        expect(applied.text).toContain('changed since it was planned');
        expect(await dump('web1')).not.toContain('queue_size');
        expect(warnings(await planFor(host, policy(['nobody*'])))).toContain(
          'no domain of qemu:///system has a name like nobody*',
        );
      },
    );

    once('a libvirt that does not answer is said as it says it', async () => {
      const verdict = await planFor(
        host,
        policy(['x'], { libvirt: { domains: ['x'], uri: 'qemu:///nowhere' } }),
      );
      expect(verdict).toMatchObject({
        status: 'blocked',
        message: expect.stringContaining('libvirt does not answer'),
      });
      expect(paths(verdict)).toEqual([]);
    });
  },
);
