import { copyFileSync, mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type BootResult, bootKernel } from './boot.ts';
import { kernelLines } from './lines.ts';
import { prepareModule } from './prepare.ts';
import { dmQcow2, qcow2Files, qcow2Modules, qcow2Script, readSums, splatsOf } from './qcow2-guest.ts';
import { ext4Disk, type MadeImage, makeImages, pseudoRandom } from './qcow2-images.ts';
import { drawRounds, listOf, type Operation, writeSources } from './qcow2-operations.ts';
import { lookAt, planLogged, type Replayed, replayLog, stateAfter } from './qcow2-replay.ts';
import { contentOf } from './qcow2-twin.ts';
import { long } from './run-checks.ts';
import { drawTable, showTable } from './table.ts';
import { WriteLog } from './write-log.ts';

const PREPARE_MS = 30 * 60_000;
const RUN_MS = (long ? 120 : 30) * 60_000;
const MIB = 1024 * 1024;
const THREADS = 4;

const lines = kernelLines.filter(({ line }) => long || line === '6.12');
/** Over all lines: 2000, or 200. */
const POINTS = long ? 500 : 200;
/** Bytes that all images can grow by. */
const FREE = (long ? 64 : 24) * MIB;
const plan = { rounds: long ? 16 : 6, operations: 14 };

const names = [
  ...['cluster-512', 'cluster-64k', 'version-2', 'growing', 'zlib-64k', 'zstd-4k', 'subclusters-16k'],
  ...['snapshots', 'over-raw', 'zeros'],
];
/** Of another disk, whose device drops what is written from some time on, or fails it. */
const failing = ['cluster-4k', 'subclusters-zlib'];
const kinds = ['drop_writes', 'error_writes'] as const;

const rows: string[][] = lines.map(({ line }) => [line, 'not tried', '', '', '', '']);
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'blkfleet-qcow2-'));
});

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
  const heading = ['dm-qcow2 on', 'entries of the log', 'losses of power', 'at flushes', 'good', 'boot'];
  showTable('images replayed from dm-log-writes', drawTable(heading, rows));
});

/** Mounts a file system by way of a device of the mapper, so that images lie on that. */
const mountBy = (name: string, target: string, words: string, disk: string) =>
  `size=$(blockdev --getsz ${disk})
qcow2-table create ${name} $size ${target} "${words}"
mkdir -p /${name}
mount -t ext4 /dev/mapper/${name} /${name} || exit 1`;

const logged = (name: string) => `echo "@@image ${name}"
if blkfleet-qcow2 attach /log/${name}.qcow2 --name t >/dev/null; then
	qcow2-apply t /log/${name}.list /log/sources /log/${name}.qcow2 ${THREADS} log
	blkfleet-qcow2 detach t && echo "@@detached"
fi`;

/** What was flushed before the disk fails, and what comes after: nobody may be hurt by that. */
const failed = (name: string, kind: string, disk: string) => `echo "@@image ${name}"
${mountBy(kind, 'linear', `${disk} 0`, disk)}
blkfleet-qcow2 attach /${kind}/${name}.qcow2 --name t >/dev/null
qcow2-apply t /${kind}/${name}.list /${kind}/sources /${kind}/${name}.qcow2 ${THREADS}
cp -r /${kind}/sources /${kind}/${name}.later /tmp/
qcow2-table replace ${kind} $size flakey "${disk} 0 0 3600 1 ${kind}"
qcow2-apply t /tmp/${name}.later /tmp/sources /${kind}/${name}.qcow2 ${THREADS} | sort | uniq -c
blkfleet-qcow2 status t
blkfleet-qcow2 detach t && echo "@@detached"
umount /${kind}
qcow2-table remove ${kind}
rm -r /tmp/sources`;

describe.each(lines)('dm-qcow2 on kernel $line when power or a disk fails', (line) => {
  const index = lines.indexOf(line);
  let result: BootResult;
  let replayed: Replayed;
  let problems: string[];

  beforeAll(async () => {
    const prepared = await prepareModule(dmQcow2, line, (text) => console.log(`[${line.line}] ${text}`));
    const work = join(folder, line.line);
    mkdirSync(work);
    const made = makeImages(work, [...names, ...failing]);
    writeSources(join(work, 'sources'));
    const seed = 100 * (index + 1);
    const images = made
      .filter(({ name }) => names.includes(name))
      .map((image, nr) => planLogged(work, image, seed + nr, plan));
    const later = failing.map((name) => planFailing(work, made.find((image) => image.name === name)!, seed));
    const disk = (name: string) => join(folder, `${line.line}-${name}`);
    ext4Disk(work, disk('before'), FREE);
    for (const name of ['log', ...kinds]) copyFileSync(disk('before'), disk(name));
    writeFileSync(disk('entries'), '');
    truncateSync(disk('entries'), 4096 * MIB);
    const wanted = ['dm_log_writes', 'dm_flakey'];
    result = await bootKernel({
      kernel: prepared.image,
      modules: [...qcow2Modules(prepared.image), ...wanted],
      files: qcow2Files(prepared.built),
      script: qcow2Script(
        [
          ...names.map(logged),
          'umount /log; qcow2-table remove log',
          ...kinds.map((kind, nr) => failed(failing[nr]!, kind, `/dev/vd${'cd'[nr]}`)),
        ].join('\n'),
        { at: '/log', mount: `${mountBy('log', 'log-writes', '/dev/vda /dev/vdb', '/dev/vda')}; :` },
      ),
      disks: ['log', 'entries', ...kinds].map(disk),
      append: line.debug,
      timeoutMs: RUN_MS,
    });
    const log = new WriteLog(disk('entries'));
    const places = availableParallelism();
    replayed = await replayLog(log, images, work, disk('before'), { points: POINTS, places, seed });
    log.close();
    problems = [];
    for (const [nr, name] of failing.entries()) {
      const { flushed, operations } = later[nr]!;
      const before = await contentOf(join(work, `${name}.qcow2`));
      const may = kinds[nr] === 'drop_writes' ? [] : operations;
      problems.push(
        ...(await lookAt(work, disk(kinds[nr]!), name, 'failed', stateAfter(before, flushed, may))),
      );
    }
    rmSync(work, { recursive: true });
    for (const name of ['before', 'log', 'entries']) rmSync(disk(name));
    rows[index] = [
      prepared.image.release,
      String(replayed.entries),
      String(replayed.points),
      String(replayed.flushes),
      String(replayed.points - new Set(replayed.problems.map((text) => text.split(':')[0])).size),
      `${Math.round(result.seconds)} s`,
    ];
  }, PREPARE_MS + RUN_MS);

  test('all was done, on a disk that works', () => {
    const tail = result.output.split('\n').slice(-20).concat(result.console.split('\n').slice(-20));
    expect(result.exit, tail.join('\n')).toBe(0);
    const said = readSums(result.output);
    for (const name of names) expect([name, said.get(name)]).toEqual([name, []]);
    expect(result.output.match(/^@@detached$/gm)).toHaveLength(names.length + failing.length);
  });

  test(`after ${POINTS} losses of power what was flushed is there, and nothing worse than a leak`, () => {
    expect(replayed.problems).toEqual([]);
    expect(replayed.points).toBe(POINTS);
    expect(replayed.flushes).toBeGreaterThan(POINTS / 4);
  });

  test('writes that a disk fails are told, and what was flushed before is there', () => {
    const [, errors] = kinds.map((_, nr) => result.output.split(`@@image ${failing[nr]}\n`)[1]!);
    expect(errors).toMatch(/@@failed write/);
    expect(errors).toMatch(/\bfailed\b/);
  });

  test('what a disk drops or fails damages no image', () => {
    expect(problems).toEqual([]);
  });

  test('leaves the kernel clean, and the module unloads', () => {
    expect(splatsOf(result.console)).toEqual([]);
    expect(result.output).toContain('@@unloaded');
  });
});

/** Writes a list for a disk that works, NAME.list, and one for when it no longer does, NAME.later. */
function planFailing(work: string, { name, bytes }: MadeImage, seed: number) {
  const next = pseudoRandom(seed);
  const good = drawRounds(next, bytes, { rounds: 2, operations: 20 });
  const bad = drawRounds(next, bytes, { rounds: 3, operations: 20 });
  const list = (rounds: Operation[][][]) => rounds.map((batches) => `${listOf(batches)}flush\n`).join('');
  writeFileSync(join(work, `${name}.list`), list(good));
  writeFileSync(join(work, `${name}.later`), `may-fail\n${list(bad)}`);
  return { flushed: good.flat(2), operations: bad.flat(2) };
}
