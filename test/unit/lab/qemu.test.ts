import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import {
  currentRecord,
  endQemu,
  findQemu,
  isRunning,
  processName,
  qemuArgv,
  waitForEnd,
} from '../../../src/lab/qemu.ts';
import { type LabRecord, labFiles, writeRecord } from '../../../src/lab/state.ts';

let cache: string;
const started: ChildProcess[] = [];
beforeEach(() => {
  cache = mkdtempSync(join(tmpdir(), 'blkfleet-lab-'));
  vi.stubEnv('BLKFLEET_CACHE', cache);
});
afterEach(() => {
  for (const child of started.splice(0)) child.kill('SIGKILL');
  vi.unstubAllEnvs();
  rmSync(cache, { recursive: true });
});

const spec = () => ({ name: 'one', files: labFiles('one'), accel: 'tcg' as const, port: 2222, cpus: 2 });

/** A process with QEMU's command line that does nothing. */
async function pretend(argv: readonly string[], body = 'echo ready; read x'): Promise<number> {
  const child = spawn('sh', ['-c', body, ...argv], { stdio: ['pipe', 'pipe', 'ignore'] });
  started.push(child);
  await new Promise((resolve) => child.stdout!.once('data', resolve));
  return child.pid!;
}

test('KVM is not tried unless it is asked for', () => {
  const words = qemuArgv(spec()).join(' ');
  expect(words).toContain('-accel tcg,thread=multi');
  expect(words).not.toContain('kvm');
  expect(qemuArgv({ ...spec(), accel: 'kvm' }).join(' ')).toMatch(/-accel kvm .*-cpu host/);
});

test('sshd is forwarded from the loopback address alone, and nothing else is open', () => {
  const words = qemuArgv(spec());
  expect(words.filter((word) => word.includes('hostfwd'))).toEqual([
    'user,id=net0,hostfwd=tcp:127.0.0.1:2222-:22',
  ]);
  expect(words).not.toContain('-vnc');
  expect(words).not.toContain('-monitor');
});

test('a comma in the path of the cache does not end an option', () => {
  vi.stubEnv('BLKFLEET_CACHE', '/tmp/a,b');
  const drive = qemuArgv(spec()).find((word) => word.startsWith('file=/'));
  expect(drive).toMatch(/^file=\/tmp\/a,,b\/labs\/one\/disk\.raw,format=raw,/);
});

test('a recorded number that another process has is not the lab', async () => {
  const pid = await pretend(['sh', '-name', 'something-else']);
  expect(await isRunning('one', { pid, startTime: '1' })).toBe(false);
  expect(await isRunning('one', { pid: 2 ** 22 - 1, startTime: '1' })).toBe(false);
  expect(await isRunning('one', null)).toBe(false);
  const ours = await pretend(qemuArgv(spec()));
  expect(await isRunning('one', { pid: ours, startTime: '1' })).toBe(false);
});

test('a QEMU that nobody wrote down is found by its folder', async () => {
  const files = labFiles('one');
  const record: LabRecord = {
    name: 'one',
    kernel: '6.1',
    release: '6.1.0',
    accel: 'tcg',
    port: 2222,
    hostKey: 'ssh-ed25519 AAAA',
    process: { pid: process.pid, startTime: '1' },
  };
  await writeRecord(files, record);
  expect((await currentRecord('one', files))!.process).toBeNull();
  // The same name in another cache is another lab.
  const elsewhere = { ...files, console: '/elsewhere/console.log' };
  await pretend(qemuArgv({ ...spec(), files: elsewhere }));
  expect(await findQemu('one', files)).toBeNull();
  const pid = await pretend(qemuArgv(spec()));
  const found = (await currentRecord('one', files))!.process;
  expect(found?.pid).toBe(pid);
  expect(await isRunning('one', found)).toBe(true);
});

test('one that ignores SIGTERM is killed; one that is not the lab is left alone', async () => {
  const pid = await pretend(qemuArgv(spec()), `trap '' TERM; echo ready; while :; do sleep 0.1; done`);
  const found = await findQemu('one', labFiles('one'));
  expect(found?.pid).toBe(pid);
  expect(await waitForEnd('one', found, 50)).toBe(false);
  await endQemu('one', found, 200);
  expect(await isRunning('one', found)).toBe(false);

  const other = await pretend(['sh', '-name', processName('two')]);
  await endQemu('one', { pid: other, startTime: found!.startTime }, 100);
  expect(() => process.kill(other, 0)).not.toThrow();
});
