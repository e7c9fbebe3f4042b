import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { HostFacts, InstalledKernel } from '../../../../src/facts/facts.ts';
import { kernel } from '../../../../src/resources/kernel/index.ts';
import type { Input, ResourcePlan } from '../../../../src/resources/kind.ts';
import { debianFacts } from '../facts.ts';
import { changeLines, runProbe, runStep } from '../shell.ts';

const RUNNING = '6.1.0-41-amd64';
const OTHER = '6.12.117+deb13-amd64';

function facts(
  change: Partial<HostFacts['kernel']> = {},
  packages: Partial<HostFacts['packages']> = {},
): HostFacts {
  const base = debianFacts(packages);
  return { ...base, kernel: { ...base.kernel, ...change } };
}

const installed = (release: string, headers: boolean, image = true): InstalledKernel => ({
  release,
  headers,
  image,
});
const input = (desired: object): Input<unknown> => ({ desired: kernel.schema.parse(desired), assets: {} });

function plan(desired: object, host = facts(), answer = ''): ResourcePlan {
  const declared = input(desired);
  return kernel.plan(declared, kernel.parse(Buffer.from(answer), declared), { facts: host });
}

describe('gates', () => {
  it.each([
    ['the stable release of uname -v counts', { release: '>=6.1.150' }, facts(), 'ok'],
    ['too old', { release: '>=6.2' }, facts(), 'blocked'],
    ['el9', { release: '>=5.10' }, facts({ release: '5.14.0-503.el9.x86_64', version: '#1 SMP' }), 'ok'],
    ['no release at all', { release: '>=5.10' }, facts({ release: 'custom', version: '' }), 'blocked'],
    ['Secure Boot where it must be off', { secure_boot: 'off' }, facts({ secureBoot: true }), 'blocked'],
    ['Secure Boot that can not be read', { secure_boot: 'off' }, facts({ secureBoot: null }), 'blocked'],
    ['Secure Boot that nobody minds', {}, facts({ secureBoot: true }), 'ok'],
    ['another lockdown', { lockdown: ['none'] }, facts({ lockdown: 'integrity' }), 'blocked'],
    ['no lockdown file is none', { lockdown: ['none'] }, facts({ lockdown: '' }), 'ok'],
    [
      'a running kernel whose folder is gone',
      { headers: 'all' },
      facts({ installed: [installed(OTHER, true)] }),
      'blocked',
    ],
    [
      'the same where only kernels on disk matter',
      { headers: 'installed' },
      facts({ installed: [installed(OTHER, true)] }),
      'ok',
    ],
  ])('%s', (_, desired, host, status) => {
    expect(plan(desired, host).status).toBe(status);
  });

  it.each(['>=6.1.0-41', 'newest'])('the range %j is refused in the file', (release) => {
    expect(kernel.schema.safeParse({ release }).success).toBe(false);
  });
});

describe('headers', () => {
  const both = facts({ installed: [installed(RUNNING, false), installed(OTHER, false)] });

  it.each([
    ['none', []],
    ['running', [RUNNING]],
    ['all', [RUNNING, OTHER]],
    ['installed', [RUNNING, OTHER]],
  ])('%s', (headers, releases) => {
    const verdict = plan({ headers }, both);
    expect(changeLines(verdict)).toEqual(releases.map((r) => `headers.${r}: null → linux-headers-${r}`));
    if (verdict.status === 'change') expect(verdict.facts).toEqual({ headersAdded: releases });
  });

  it('that no source has: a warning for a kernel that does not run, a try for the one that does', () => {
    const verdict = plan({ headers: 'all' }, both, `lists\nname ${OTHER}\ncandidate (none)\n`);
    expect(changeLines(verdict)).toEqual([`headers.${RUNNING}: null → linux-headers-${RUNNING}`]);
    expect('warnings' in verdict && verdict.warnings?.[0]).toContain(OTHER);
  });

  it.each([
    ['dnf', facts({}, { manager: 'dnf' })],
    ['a dpkg that is not healthy', facts({}, { healthy: false })],
    [
      'a name that apt reads as an instruction',
      facts({ installed: [installed(RUNNING, true), installed('6.1-x+', false)] }),
    ],
  ])('block with %s', (_, host) => {
    expect(plan({ headers: 'all' }, host).status).toBe('blocked');
  });

  it('warns of a newer kernel that waits for a reboot', () => {
    const host = facts({ installed: [installed(RUNNING, true), installed(OTHER, true)] });
    expect(plan({ headers: 'all' }, host)).toMatchObject({
      status: 'ok',
      warnings: [expect.stringContaining('reboot')],
    });
  });
});

describe('on a host', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'blkfleet-kernel-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  /** Commands of the host, found before the real ones. */
  function command(name: string, script: string): string {
    const path = join(folder, name);
    writeFileSync(path, `#!/bin/sh\n${script}\n`);
    chmodSync(path, 0o755);
    return `${folder}:${process.env.PATH}`;
  }

  it('the probe answers each declaration, and what it prints parses', () => {
    const inputs = [input({ headers: 'all' }), input({ headers: 'none' })];
    for (const [index, body] of runProbe(kernel, inputs).entries())
      expect(() => kernel.parse(body, inputs[index]!)).not.toThrow();
  });

  it('refuses an answer without end', () => {
    expect(() => kernel.parse(Buffer.alloc(300_000, 65), input({}))).toThrow();
  });

  const running = facts({ release: RUNNING, installed: [installed(RUNNING, false)] });
  const step = () => {
    const declared = input({ headers: 'running' });
    return kernel.steps(declared, kernel.parse(Buffer.from(''), declared), { facts: running })[0]!;
  };

  it('a step asks for fresh lists once, and fails where no source has the headers', () => {
    command('apt-cache', 'exit 0');
    const path = command('apt-get', `echo "$*" >> ${folder}/log`);
    const result = runStep(step(), path);
    expect(result.status).toBe(1);
    expect(readFileSync(join(folder, 'log'), 'utf8').match(/update/g)).toHaveLength(1);
    expect(result.output).toContain(RUNNING);
  });

  it('a step does not believe an apt that says it is done', () => {
    command('apt-cache', `echo '  Candidate: 6.1.158-1'`);
    const path = command('apt-get', `echo "$*" >> ${folder}/log`);
    expect(runStep(step(), path).status).toBe(1);
    const log = readFileSync(join(folder, 'log'), 'utf8');
    expect(log).toContain(`install linux-headers-${RUNNING}`);
    expect(log).toContain('--no-remove');
  });
});
