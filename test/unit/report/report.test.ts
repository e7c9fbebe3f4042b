import { lstat, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { toJson } from '../../../src/report/json.ts';
import { toJunit } from '../../../src/report/junit.ts';
import { writeReport } from '../../../src/report/write.ts';
import { fleet, host, hostile, run, task } from '../ui/reports.ts';
import { type Element, parseXml } from './xml.ts';

const hostileRun = () => {
  const error = { code: 'E_STEP' as const, message: hostile, hint: hostile };
  const diff = [{ path: hostile, from: hostile, to: null, text: hostile, reason: hostile }];
  const tasks = [
    task({ play: hostile, task: hostile, status: 'failed', error, log: [hostile], diff }),
    task({ status: 'pending', reason: hostile, diff }),
    task({ status: 'skipped', reason: hostile }),
  ];
  return run([host(hostile, { status: 'failed', tasks, error })], 'audit');
};

describe('toJson', () => {
  it('has exactly the fixed shape', async () => {
    const document = JSON.parse(toJson(run(fleet())));
    expect(Object.keys(document)).toEqual(['command', 'run', 'hosts', 'summary']);
    expect(Object.keys(document.run)).toEqual(['id', 'started', 'finished']);
    expect(Object.keys(document.summary)).toEqual([
      'hosts',
      'ok',
      'changed',
      'failed',
      'unreachable',
      'pending',
    ]);
    for (const entry of document.hosts) {
      expect(Object.keys(entry)).toEqual(['name', 'status', 'changes', 'tasks', 'error']);
      for (const item of entry.tasks) {
        expect(Object.keys(item)).toEqual(['play', 'task', 'kind', 'status', 'diff', 'error']);
        for (const difference of item.diff) expect(Object.keys(difference)).toEqual(['path', 'from', 'to']);
      }
    }
    await expect(toJson(run(fleet()))).toMatchFileSnapshot('../../fixtures/report/fleet.json');
  });

  it('names the line where contents first differ', () => {
    const text = '--- /etc/x\n+++ /etc/x\n@@ -1,2 +1,2 @@\n a\n-b "1"\n+b "2"\n';
    const diff = [{ path: '/etc/x content', from: 'sha256:1', to: 'sha256:2', text }];
    const report = run([host('a', { tasks: [task({ status: 'pending', diff })] })], 'audit');
    expect(JSON.parse(toJson(report)).hosts[0].tasks[0].diff).toEqual([
      { path: '/etc/x content', from: 'sha256:1, line 2: "b \\"1\\""', to: 'sha256:2, line 2: "b \\"2\\""' },
    ]);
  });

  it('carries facts where the report has them', () => {
    const facts = { kernel: { release: '6.1' } };
    const document = JSON.parse(toJson(run([{ ...host('a'), facts } as never], 'facts')));
    expect(document.hosts[0].facts).toEqual(facts);
  });

  it('keeps every character of a hostile string, and sends none to a terminal', () => {
    const text = toJson(hostileRun());
    expect(text).not.toMatch(/(?!\n)[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/u);
    const document = JSON.parse(text);
    expect(document.hosts[0].name).toBe(hostile);
    expect(document.hosts[0].tasks[0].diff[0].from).toBe(hostile);
  });
});

describe('toJunit', () => {
  it('counts suites and cases', async () => {
    const root = parseXml(toJunit(run(fleet(), 'audit')));
    expect(root.attributes).toMatchObject({
      tests: '14',
      failures: '8',
      errors: '1',
      skipped: '0',
      time: '2.500',
    });
    for (const suite of root.children) {
      expect(String(suite.children.length)).toBe(suite.attributes.tests);
      const bad = suite.children.filter((item: Element) => item.children.length > 0);
      expect(bad.length).toBe(
        Number(suite.attributes.failures) +
          Number(suite.attributes.errors) +
          Number(suite.attributes.skipped),
      );
    }
    await expect(toJunit(run(fleet(), 'audit'))).toMatchFileSnapshot('../../fixtures/report/fleet.xml');
  });

  it('is well-formed for hostile strings', () => {
    const root = parseXml(toJunit(hostileRun()));
    expect(root.children[0]!.children).toHaveLength(4);
    expect(root.children[0]!.attributes.name).toContain('\\x1b]0;owned');
  });
});

describe('writeReport', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'blkfleet-report-'));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  it('writes for its owner alone, also over a file that others may read', async () => {
    const file = join(folder, 'audit.json');
    await writeFile(file, 'old', { mode: 0o666 });
    const before = await stat(file);
    await writeReport(file, 'new\n');
    const after = await stat(file);
    expect(await readFile(file, 'utf8')).toBe('new\n');
    expect(after.mode & 0o7777).toBe(0o600);
    expect(after.ino).not.toBe(before.ino);
    expect(await readdir(folder)).toEqual(['audit.json']);
  });

  it('follows a link and leaves it in place', async () => {
    await symlink('real.json', join(folder, 'link.json'));
    await writeFile(join(folder, 'real.json'), 'old');
    await writeReport(join(folder, 'link.json'), 'new');
    expect((await lstat(join(folder, 'link.json'))).isSymbolicLink()).toBe(true);
    expect(await readFile(join(folder, 'real.json'), 'utf8')).toBe('new');
  });

  it('writes to a device as it is', async () => {
    await writeReport('/dev/null', 'text');
    expect((await stat('/dev/null')).isCharacterDevice()).toBe(true);
  });

  it.each(['.', 'missing/audit.json'])('refuses %s and leaves nothing behind', async (name) => {
    await mkdir(join(folder, 'kept'));
    await expect(writeReport(join(folder, name), 'text')).rejects.toMatchObject({ code: 'E_FILE' });
    expect(await readdir(folder)).toEqual(['kept']);
  });
});
