import { describe, expect, test } from 'vitest';
import { median, Results } from '../../../src/bench/results.ts';
import { clientSample, fioSample } from '../../../src/bench/sample.ts';

const fio = (read: object, write: object = { iops: 0, total_ios: 0 }, error = 0) =>
  JSON.stringify({ 'fio version': 'fio-3.33', jobs: [{ jobname: 'bench', error, read, write }] }, null, 2);
const stat = (user: number, softirq: number) => `cpu  ${user} 5 10 100000 30 0 ${softirq} 9 50 0\n`;
const bytes = (text: string) => Buffer.from(text);

describe('what fio printed', () => {
  test('its rate, and the time of all CPUs between both lines of /proc/stat for a request', () => {
    const body = bytes(
      `${stat(100, 7)}${stat(180, 27)}fio: some warning\n${fio({ iops: 1000.5, total_ios: 2000 })}`,
    );
    // 100 ticks of 10 ms, over 2000 requests.
    expect(fioSample(body, 'randread')).toEqual({ ok: true, iops: 1000.5, cpuUs: 500 });
  });

  test('of writes; without the lines the CPU time is unknown', () => {
    const body = bytes(fio({ iops: 0, total_ios: 0 }, { iops: 7, total_ios: 70 }));
    expect(fioSample(body, 'randwrite')).toEqual({ ok: true, iops: 7, cpuUs: null });
    expect(fioSample(body, 'randread')).toMatchObject({ ok: false, skipped: false });
  });

  test.for([
    ['nothing', ''],
    ['no document', 'fio: engine libaio not loadable\n'],
    ['half a document', fio({ iops: 1, total_ios: 1 }).slice(0, 60)],
    ['a rate that is none', fio({ iops: '1', total_ios: 1 })],
    ['a rate beyond reason', fio({ iops: 1e300, total_ios: 1 })],
    ['an error', fio({ iops: 1, total_ios: 1 }, undefined, 5)],
  ] as const)('%s is no number', ([, text]) => {
    expect(fioSample(bytes(text), 'randread').ok).toBe(false);
  });
});

describe('what vhost-blk-bench wrote', () => {
  test('a round with its CPU time; 0 is unknown, and so is none', () => {
    const one = { iops: [5000], cpuUs: [12.5], outcome: 'ok', trouble: '' };
    expect(clientSample(bytes(JSON.stringify(one)))).toEqual({ ok: true, iops: 5000, cpuUs: 12.5 });
    expect(clientSample(bytes(JSON.stringify({ ...one, cpuUs: [0] })))).toMatchObject({ cpuUs: null });
    expect(clientSample(bytes(JSON.stringify({ ...one, cpuUs: undefined })))).toMatchObject({ cpuUs: null });
  });

  test('what was skipped or failed says why', () => {
    const skipped = { iops: [], outcome: 'skipped', trouble: 'no /dev/vhost-blk' };
    expect(clientSample(bytes(JSON.stringify(skipped)))).toEqual({
      ok: false,
      skipped: true,
      reason: 'no /dev/vhost-blk',
    });
    expect(clientSample(bytes('{}'))).toMatchObject({ ok: false, skipped: false });
    expect(clientSample(bytes('{"iops":[1],"outcome":"ok","trouble":7}'))).toMatchObject({ ok: false });
  });
});

describe('the rows of a bench', () => {
  test('the median of the rounds, and its ratio to the host of the same rw and vCPUs', () => {
    const results = new Results();
    for (const iops of [100, 300, 200]) results.add('host', 'randread', 1, { ok: true, iops, cpuUs: 10 });
    for (const iops of [50, 150]) results.add('vhost-blk', 'randread', 1, { ok: true, iops, cpuUs: null });
    results.add('host', 'randread', 2, { ok: true, iops: 1000, cpuUs: 1 });
    results.skip('virtio-blk', 'needs a guest');
    const rows = results.rows(['randread'], [1, 2], ['host', 'virtio-blk', 'vhost-blk']);
    expect(
      rows.map(({ vcpus, way, outcome, median, ratio }) => [vcpus, way, outcome, median, ratio]),
    ).toEqual([
      [1, 'host', 'measured', 200, 1],
      [1, 'virtio-blk', 'not measured', null, null],
      [1, 'vhost-blk', 'measured', 100, 0.5],
      [2, 'host', 'measured', 1000, 1],
      [2, 'virtio-blk', 'not measured', null, null],
      [2, 'vhost-blk', 'not measured', null, null],
    ]);
    expect(rows[0]!.cpuUs).toBe(10);
    expect(rows[1]!.reason).toBe('needs a guest');
    expect(rows[2]!.cpuUs).toBeNull();
  });

  test('a round that failed is told beside the number of the others; without a host there is no ratio', () => {
    const results = new Results();
    results.add('vhost-blk', 'randwrite', 1, { ok: true, iops: 10, cpuUs: 1 });
    results.add('vhost-blk', 'randwrite', 1, { ok: false, skipped: false, reason: 'it hung' });
    expect(results.rows(['randwrite'], [1], ['vhost-blk'])).toMatchObject([
      { outcome: 'failed', reason: 'it hung', median: 10, ratio: null, iops: [10] },
    ]);
  });

  test('median', () => {
    expect([median([]), median([3]), median([1, 2]), median([9, 1, 5])]).toEqual([null, 3, 1.5, 5]);
  });
});
