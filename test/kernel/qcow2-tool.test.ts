import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, linkSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { kernelLines } from './lines.ts';
import { prepareModule } from './prepare.ts';
import { dmQcow2 } from './qcow2-guest.ts';

const PREPARE_MS = 30 * 60_000;

let folder: string;
let tool: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'blkfleet-qcow2-'));
  tool = join(folder, 'blkfleet-qcow2');
  const line = kernelLines.find(({ line }) => line === '6.12')!;
  const { built } = await prepareModule(dmQcow2, line, console.log);
  writeFileSync(tool, built.programs.get('blkfleet-qcow2')!);
  chmodSync(tool, 0o755);
  mkdirSync(join(folder, 'images/below'), { recursive: true });
  mkdirSync(join(folder, 'bases'));
  for (const path of ['images/base.qcow2', 'images/below/base.qcow2', 'bases/base.qcow2'])
    execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', join(folder, path), '1M']);
  symlinkSync('/etc/passwd', join(folder, 'images/link.raw'));
}, PREPARE_MS);

afterAll(() => rmSync(folder, { recursive: true, force: true }));

const check = (image: string, ...options: string[]) =>
  spawnSync(tool, ['check', join(folder, image), ...options], { encoding: 'utf8' });

/** An image that names another, which QEMU does not look for. */
function over(name: string, backing: string, format = 'raw'): string {
  const argv = ['create', '-q', '-u', '-f', 'qcow2', '-b', backing, '-F', format];
  execFileSync('qemu-img', [...argv, join(folder, 'images', name), '1M']);
  return join('images', name);
}

describe('a file that an image names', () => {
  test.each([
    ['beside it', 'base.qcow2'],
    ['below its folder', 'below/base.qcow2'],
    ['by a protocol that is none', 'file:base.qcow2'],
  ])('is opened %s', (_, backing) => {
    const { status, stdout, stderr } = check(over('top.qcow2', backing, 'qcow2'));
    expect(stderr).toBe('');
    expect(status).toBe(0);
    expect(stdout.split('\n').filter(Boolean)).toHaveLength(2);
  });

  test.each([
    ['elsewhere', '/etc/passwd'],
    ['above', '../bases/base.qcow2'],
    ['far above', '../../../../../../etc/passwd'],
    ['behind a link', 'link.raw'],
    ['by json', 'json:{"driver":"file","filename":"/etc/passwd"}'],
    ['by a protocol', 'nbd://localhost/x'],
    ['that is a device', '/dev/null'],
    ['that is a folder', 'below'],
    ['that is not there', 'nothing.raw'],
    ['that is itself', 'loop.qcow2'],
  ])('is not opened %s', (_, backing) => {
    const { status, stdout, stderr } = check(
      over('loop.qcow2', backing, backing === 'loop.qcow2' ? 'qcow2' : 'raw'),
    );
    expect(stderr).toMatch(/^blkfleet-qcow2: /);
    expect(stdout).toBe('');
    expect(status).toBe(1);
  });

  test('is opened in a --base, and there not above it', () => {
    const image = over('top.qcow2', join(folder, 'bases/base.qcow2'), 'qcow2');
    expect(check(image).status).toBe(1);
    expect(check(image, '--base', join(folder, 'bases')).status).toBe(0);
    expect(
      check(over('top.qcow2', '../bases/../bases/base.qcow2', 'qcow2'), '--base', join(folder, 'bases'))
        .status,
    ).toBe(0);
    expect(
      check(over('top.qcow2', `${folder}/bases/../images/base.qcow2x`), '--base', join(folder, 'bases'))
        .status,
    ).toBe(1);
  });

  test('is looked for where the image was found, as QEMU does, not where a link leads', () => {
    over('linked.qcow2', 'base.qcow2', 'qcow2');
    symlinkSync('../images/linked.qcow2', join(folder, 'bases/link.qcow2'));
    const { stdout, status } = check('bases/link.qcow2');
    expect(status).toBe(0);
    expect(stdout).toContain('/bases/base.qcow2');
  });

  test('is not opened as data file that is in the chain already', () => {
    const image = join(folder, 'images/itself.qcow2');
    execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', '-o', `data_file=data.raw`, image, '1M'], {
      cwd: join(folder, 'images'),
    });
    expect(check('images/itself.qcow2').status).toBe(0);
    rmSync(join(folder, 'images/data.raw'));
    linkSync(image, join(folder, 'images/data.raw'));
    const { stderr, status } = check('images/itself.qcow2');
    expect(stderr).toContain('it is in the chain twice');
    expect(status).toBe(1);
  });

  test('does not reach the terminal with what can not be printed', () => {
    const { stderr } = check(over('top.qcow2', '\u001b]0;gone\u0007/x'));
    expect(stderr).not.toMatch(/[\u0000-\u0009\u001b\u007f]/);
  });
});

test('an image that QEMU writes is in use', async () => {
  const image = join(folder, 'images/base.qcow2');
  const writer = spawn('qemu-io', ['-f', 'qcow2', '-c', 'sleep 60000', image], { stdio: 'ignore' });
  const ended = once(writer, 'exit');
  let last = check('images/base.qcow2');
  // It says nothing when it has opened the image.
  for (let tries = 0; last.status === 0 && tries < 300; tries++) {
    await sleep(100);
    last = check('images/base.qcow2');
  }
  writer.kill('SIGKILL');
  await ended;
  expect(last.stderr).toContain('in use by another process');
  expect(last.status).toBe(1);
  expect(check('images/base.qcow2').status).toBe(0);
});

test('what is no image is refused with its reason', () => {
  writeFileSync(join(folder, 'images/text.qcow2'), 'hello');
  const { status, stderr } = check('images/text.qcow2');
  expect(stderr).toContain('not a qcow2 image');
  expect(status).toBe(1);
});
