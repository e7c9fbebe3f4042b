import { readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type BootResult, bootKernel } from './boot.ts';
import { readDocumented, readOffered } from './documented.ts';
import { drawFeatures, featureRows, type Tally, tallyFeatures } from './feature-table.ts';
import { ext4Image } from './filesystem.ts';
import { keepLog } from './kept-log.ts';
import { kernelLines } from './lines.ts';
import { type Prepared, prepareLine } from './prepare.ts';
import {
  accountedBytes,
  checkModuleParameters,
  checkModules,
  checkModulesIfAny,
  checkScript,
  EXT4_IMAGE,
  EXT4_MIB,
  type GuestReport,
  long,
  readReport,
  runNames,
  scratchRuns,
} from './run-checks.ts';
import { drawTable, showTable } from './table.ts';
import { Turns } from './turns.ts';

// A quiet machine needs about two minutes a line for the first run (a Debian root, a kernel package) and half a minute
// for later ones.
const PREPARE_MS = 30 * 60_000;
const BOOT_MS = (long ? 90 : 40) * 60_000;
// More than a case may take.
const STALL_MS = (long ? 15 : 6) * 60_000;

const rows: string[][] = kernelLines.map(({ line, suite }) => [
  `${line} (${suite})`,
  'not tried',
  '',
  '',
  '',
  '',
]);
const features = new Map<string, Map<string, Tally>>();
const documented = readDocumented(readFileSync(new URL('../../docs/vhost_blk.md', import.meta.url), 'utf8'));

// A guest of two CPUs keeps both busy for a part of the time only. Roots and packages are made one at a time.
const preparing = new Turns(1);
const booting = new Turns(Math.max(1, cpus().length));

describe.concurrent.each(kernelLines)('vhost_blk on kernel $line ($suite)', (line) => {
  let prepared: Prepared;
  let result: BootResult;
  let kept: string;
  let report: GuestReport;

  beforeAll(
    async () => {
      const row = rows[kernelLines.indexOf(line)]!;
      row[1] = 'not built';
      prepared = await preparing.run(() =>
        prepareLine(line, (text) => console.log(`[${line.line}] ${text}`)),
      );
      const { image, built } = prepared;
      row[0] = image.release;
      row[1] = String(built.warnings.length);
      row[2] = 'not booted';
      const boot = () =>
        bootKernel({
          kernel: image,
          modules: [...checkModulesIfAny.filter((name) => image.hasModule(name)), ...checkModules],
          moduleParameters: checkModuleParameters,
          files: [
            { path: 'vhost_blk.ko', data: built.module },
            { path: 'sbin/vhost-blk-check', data: built.check, mode: 0o755 },
            { path: EXT4_IMAGE, data: ext4Image(EXT4_MIB) },
          ],
          script: checkScript((options, name) =>
            // A thousand starts and stops, on one line.
            name === 'lifecycle' && line.line === '6.12' ? `${options} --long 4` : options,
          ),
          append: line.debug,
          // Disks in memory, and a file system in one.
          memoryMb: 1536,
          timeoutMs: BOOT_MS,
          stallMs: STALL_MS,
        });
      result = await booting.run(boot);
      kept = keepLog(`matrix ${image.release}`, result);
      if (result.ended === 'QEMU stalled') {
        // The emulator's fault then, which says nothing of the module; what it said stays in the cache.
        console.log(`[${line.line}] QEMU stood still: booted once more; ${kept}`);
        result = await booting.run(boot);
        kept = keepLog(`matrix ${image.release}, again`, result);
      }
      report = readReport(result);
      features.set(line.line, tallyFeatures(report.runs));
      const total = (key: 'passed' | 'failed' | 'skipped') =>
        report.runs.reduce((sum, run) => sum + run[key], 0);
      const cases = total('passed') + total('failed');
      row[2] = `${total('passed')}/${cases}${total('skipped') ? ` (${total('skipped')} skipped)` : ''}`;
      row[3] = report.splats.length === 0 ? 'clean' : `${report.splats.length} lines`;
      row[4] = report.taint || 'none';
      row[5] = `${built.cached ? 'cached' : 'built'}, ${Math.round(result.seconds)} s`;
    },
    kernelLines.length * (PREPARE_MS + BOOT_MS),
  );

  test('builds without a warning (W=1)', () => {
    expect(prepared.built.warnings).toEqual([]);
  });

  test('runs every check to its end', () => {
    const tail = [result.output, result.console].flatMap((text) => text.split('\n').slice(-20));
    tail.unshift(`all of it: ${kept}`);
    expect(result.ended, tail.join('\n')).toBe('exit 0');
    expect(result.exit, tail.join('\n')).not.toBeNull();
    expect(report.runs.map((run) => run.name)).toEqual(runNames);
  });

  test('passes vhost-blk-check', () => {
    expect(report.runs.flatMap((run) => run.failures.map((failure) => `${run.name}: ${failure}`))).toEqual(
      [],
    );
    expect(report.runs.filter((run) => run.exit !== 0)).toEqual([]);
    for (const run of report.runs.filter((one) => !['features', 'recorded'].includes(one.name)))
      expect(run.passed, run.name).toBeGreaterThan(0);
  });

  test('skips nothing that this kernel can do', () => {
    const runs = report.runs.filter((run) => scratchRuns.includes(run.name));
    expect(runs.flatMap((run) => run.skips.map((skip) => `${run.name}: ${skip}`))).toEqual([]);
  });

  test('offers what docs/vhost_blk.md says', () => {
    const offered = readOffered(report.offered);
    expect(offered.features.sort()).toEqual(documented.features.sort());
    expect(offered.parameters).toEqual(documented.parameters);
  });

  test('shows each feature', () => {
    const passed = (row: string) => features.get(line.line)?.get(row)?.passed ?? 0;
    expect(featureRows.filter((row) => passed(row) === 0)).toEqual([]);
  });

  test('leaves the kernel clean: no splat, no pinned page, module unloads', () => {
    expect(report.splats).toEqual([]);
    expect(report.runs.filter((run) => run.pinned !== 0)).toEqual([]);
    expect(report.runs.filter((run) => !run.unloaded)).toEqual([]);
    expect(report.heldWhileOpen).toBe(true);
    // An out-of-tree module without a signature taints by O and E, and by nothing else.
    expect(report.taint.replace(/[OE]/g, '')).toBe('');
  });

  test("counts a guest's I/O as its owner's", () => {
    expect(report.accounted).toBe(accountedBytes);
  });
});

afterAll(() => {
  const heading = ['vhost_blk on', 'build warnings', 'check passed', 'dmesg', 'taint delta', 'build, boot'];
  showTable('kernel matrix', drawTable(heading, rows));
  const kernels = kernelLines.flatMap(({ line }) => {
    const found = features.get(line);
    return found ? [{ name: line, features: found }] : [];
  });
  showTable('features of vhost_blk: cases passed on each kernel', drawFeatures(kernels));
});
