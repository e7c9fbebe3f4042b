import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { blkfleet, type Ended } from './program.ts';

const image = '/srv/images/disk.qcow2';
const device = '/dev/mapper/disk';
const mountPoint = '/srv/disk';
// As docs/qcow2_device.md tells it.
const fstab = `${device} ${mountPoint} ext4 nofail,x-systemd.requires=blkfleet-qcow2-disk.service 0 2`;

type InLab = (script: string) => Promise<Ended>;

/** Applies a declaration of the image to the lab host, which then is in sync with it. */
export async function applyDisk(inventory: string, more: string): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'blkfleet-lab-'));
  try {
    const playbook = join(folder, 'disk.yaml');
    writeFileSync(
      playbook,
      `- name: a disk in an image
  hosts: hypervisors
  become: true
  tasks:
    - name: folder
      file: { path: /srv/images, state: directory }
    - name: image
      command: { argv: [qemu-img, create, -q, -f, qcow2, ${image}, 64M], creates: ${image} }
    - name: attached
      qcow2_device: { name: disk, image: ${image}, ${more} }
`,
    );
    const applied = await blkfleet('apply', playbook, '-i', inventory, '--yes');
    expect(applied.status, applied.text).toBe(0);
    const again = await blkfleet('plan', playbook, '-i', inventory);
    expect(again.status, again.text).toBe(0);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const ok = async (inLab: InLab, script: string) => {
  const ended = await inLab(`sudo sh -ec '${script}'`);
  expect(ended.status, ended.text).toBe(0);
  return ended.stdout;
};

/** A file system on the device, mounted at boot, with files whose sums are kept elsewhere. */
export async function fillDisk(inLab: InLab): Promise<void> {
  await ok(
    inLab,
    `mkfs.ext4 -q ${device}
mkdir -p ${mountPoint}
echo "${fstab}" >> /etc/fstab
systemctl daemon-reload
mount ${mountPoint}
cp -r /etc /usr/share/common-licenses ${mountPoint}/
cd ${mountPoint}
find . -type f -exec sha256sum {} + > /root/disk.sums
sync`,
  );
}

/** After a boot: mounted from the image, every file as it was; then vhost_blk serves the device, and the image is sound. */
export async function expectDisk(inLab: InLab, inventory: string): Promise<void> {
  const seen = await ok(
    inLab,
    `findmnt -no SOURCE ${mountPoint}
dmsetup table disk
cd ${mountPoint}; sha256sum --quiet -c /root/disk.sums && wc -l < /root/disk.sums
cd /; umount ${mountPoint}
e2fsck -fn ${device} > /dev/null 2>&1; echo e2fsck $?
journalctl -q -b -1 -o cat -u blkfleet-qcow2-disk.service`,
  );
  expect(seen).toMatch(new RegExp(`^${device}\n0 131072 qcow2 1 qcow2:\\d+ 1 cache_kib:8192\n[1-9]\\d+\n`));
  expect(seen).toContain('\ne2fsck 0\n');
  // The shutdown before has detached it.
  expect(seen).toMatch(/blkfleet-qcow2-disk\.service: Deactivated successfully/);
  const served = await inLab(
    `sudo /usr/local/sbin/vhost-blk-check --quick --device ${device} --destroy-data`,
  );
  expect(served.status, served.text).toBe(0);
  expect(served.stdout).toMatch(/^vhost-blk-check: [1-9]\d* passed, 0 failed/m);
  await ok(inLab, 'sed -i "\\#^/dev/mapper/disk #d" /etc/fstab');
  await applyDisk(inventory, 'state: absent');
  const after = await ok(
    inLab,
    `qemu-img check -q ${image} && echo sound
find /etc/blkfleet/qcow2.d /run/blkfleet/qcow2 /etc/systemd/system -name "*qcow2-disk*" 2>/dev/null | wc -l
systemctl list-units --all --no-legend "blkfleet-qcow2-*" | wc -l
dmesg --level=emerg,alert,crit,err | grep -ciE "qcow2|device-mapper" || :`,
  );
  expect(after).toBe('sound\n0\n0\n0\n');
}
