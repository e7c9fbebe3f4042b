import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { blkfleet, type Ended, repository, start } from './program.ts';
import { readmeBlocks } from './readme.ts';

type InLab = (script: string) => Promise<Ended>;

const [disk, declare, [line = ''] = [], [counters = ''] = []] = readmeBlocks('A guest on vhost_blk');
const file = join(repository, 'lab.yaml');
const unit = 'vhost-blk@demo.service';

/** What the README says of a guest, word by word, in the lab of that name. */
export async function expectGuest(lab: string, inLab: InLab): Promise<void> {
  const env = { BLKFLEET_LAB: lab };
  const kept = existsSync(file) ? readFileSync(file) : undefined;
  try {
    let last: Ended | undefined;
    for (const command of [...disk!, ...declare!]) {
      last = await start(['sh', '-c', command], env).ended;
      expect(last.status, `${command}\n${last.text}`).toBe(0);
    }
    expect(told(last!)).toBe(line);
    expect(last!.text).toMatch(/^hosts: 1 .* changed: 1 /m);
    // The rest of the playbook has had its second run.
    const again = await start(['sh', '-c', `${declare!.at(-1)!} -t qemu`], env).ended;
    expect(again.status, again.text).toBe(0);
    expect(again.text).toMatch(/^hosts: 1 .* changed: 0 /m);
    expect(told(again)).toBe(line);
  } finally {
    if (kept) writeFileSync(file, kept);
    else rmSync(file, { force: true });
  }
  await withGuest(lab, `sudo ${line}`, async () => {
    const seen = await inLab(counters);
    expect(seen.status, seen.text).toBe(0);
    const count = (word: string) =>
      [...seen.stdout.matchAll(new RegExp(`\\b${word} (\\d+)$`, 'gm'))].reduce(
        (n, [, of]) => n + Number(of),
        0,
      );
    // The firmware loads the first sector; the guest writes and reads one.
    expect(count('requests_in'), seen.stdout).toBeGreaterThanOrEqual(2);
    expect(count('requests_out'), seen.stdout).toBe(1);
  });
  const written = await inLab('sudo od -An -tx1 -j512 -N4 /srv/demo/boot-sector');
  expect(written.stdout).toBe(' 34 12 8b 43\n');
}

/**
 * After a boot the disk is served again. Where it is not declared any more, it stays until its guest has ended, and nothing of
 * it after.
 */
export async function expectGuestGone(lab: string, inLab: InLab, inventory: string): Promise<void> {
  const apply = () => blkfleet('apply', 'playbooks/site.yaml', '-i', inventory, '-t', 'qemu', '--yes');
  const state = () => inLab(`sudo systemctl is-active ${unit}; sudo systemctl is-enabled ${unit}`);
  expect((await state()).stdout).toBe('active\nenabled\n');
  // A member of the group kvm, who is not root.
  await withGuest(lab, `sudo -u deploy -g kvm ${line}`, async () => {
    const held = await apply();
    expect(held.status, held.text).toBe(2);
    expect(held.text.replace(/\s+/g, ' ')).toContain(
      'pending-drain: vhost-blk@demo.service is not stopped: a guest is connected',
    );
    expect((await state()).stdout).toBe('active\ndisabled\n');
  });
  const ended = await apply();
  expect(ended.status, ended.text).toBe(0);
  const left = await inLab(
    `sudo find /etc/blkfleet/disks.d /run/vhost-blk /etc/blkfleet/qemu/disks /etc/systemd/system -name '*demo*' 2>/dev/null
sudo systemctl list-units --all --no-legend 'vhost-blk@*'; pgrep -a 'vhost-user|qemu'; sudo rm -r /srv/demo`,
  );
  expect(left.stdout).toBe('');
}

/** The command line that an apply ends with. */
function told({ text }: Ended): string | undefined {
  const [, about = '', command] =
    /^on \S+: (disk demo by vhost-user-blk [\s\S]*?):\n {2}(\/\S.*)\nhosts: /m.exec(text) ?? [];
  expect(about.replace(/\s+/g, ' ')).toMatch(/; a guest from it, by root or a member of the group kvm$/);
  return command;
}

/** Types a command line in the lab; once its guest has booted and `work` is done, a key ends the guest. */
async function withGuest(lab: string, command: string, work: () => Promise<void>): Promise<void> {
  const words = ['npx', 'blkfleet', 'lab', 'ssh', '--', ...command.split(' ')];
  const guest = start(words, { BLKFLEET_LAB: lab }, 'pipe');
  try {
    await guest.says(/boot: what was written was read/);
    await work();
  } finally {
    guest.child.stdin!.end('x');
  }
  const ended = await guest.ended;
  expect(ended.status, ended.text).toBe(0);
}
