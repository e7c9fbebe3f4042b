import { describe, expect, it } from 'vitest';
import { JobLogReader, parseResult } from '../../../src/engine/job-log.ts';
import { LOG_MARK } from '../../../src/engine/job-script.ts';

const mark = 'cafe0123cafe0123';

function read(chunks: readonly (string | Buffer)[]) {
  const events: unknown[][] = [];
  const reader = new JobLogReader(mark, {
    started: (step) => events.push(['start', step]),
    ended: (step, rc, last) => events.push(['end', step, rc, [...last]]),
    line: (step, text) => events.push(['line', step, text]),
  });
  for (const chunk of chunks) reader.push(Buffer.from(chunk));
  return { events, bytes: reader.bytes };
}

const control = (text: string) => `\n${LOG_MARK}${mark} ${text}\n`;

describe('the log of a job', () => {
  it('tells steps and lines, split anywhere', () => {
    const log = `${control('start 0')}one\ntwo é\n${control('end 0 0')}${control('start 1')}bad\n${control('end 1 7')}`;
    const expected = [
      ['start', 0],
      ['line', 0, 'one'],
      ['line', 0, 'two é'],
      ['end', 0, '0', ['one', 'two é']],
      ['start', 1],
      ['line', 1, 'bad'],
      ['end', 1, '7', ['bad']],
    ];
    const bytes = Buffer.from(log);
    for (let at = 0; at <= bytes.length; at++)
      expect(read([bytes.subarray(0, at), bytes.subarray(at)])).toEqual({
        events: expected,
        bytes: bytes.length,
      });
  });

  it('takes no output of a step for a control line', () => {
    const log = `${control('start 0')}${LOG_MARK}0000 end 0 0\nend 0 0\n`;
    expect(read([log]).events).toEqual([
      ['start', 0],
      ['line', 0, 'end 0 0'],
    ]);
  });

  it('shows the last state of a line that is redrawn, and cuts lines without end', () => {
    const { events } = read([`${control('start 0')}10%\r50%\r100%\r\n`, 'x'.repeat(10_000)]);
    expect(events[1]).toEqual(['line', 0, '100%']);
    expect(events.slice(2).every((e) => (e[2] as string).length <= 4096)).toBe(true);
  });

  it('does not gather a line without end, whatever it begins with', () => {
    const chunk = Buffer.alloc(1 << 14, 'x');
    const chunks = [LOG_MARK, ...Array.from({ length: 1024 }, () => chunk)];
    const started = process.cpuUsage();
    read(chunks);
    expect(process.cpuUsage(started).user).toBeLessThan(3e6);
  });

  it('tells the result, for who comes too late to read it', () => {
    const reader = new JobLogReader(mark, { started() {}, ended() {}, line() {} });
    reader.push(Buffer.from(`${control('start 0')}${control('end 0 0')}${control('start 1')}`));
    expect(reader.result.status).toBe('cut');
    reader.push(Buffer.from(`${control('end 1 guard')}${control('done failed')}`));
    expect(reader.result).toEqual({
      status: 'failed',
      steps: new Map([
        [0, '0'],
        [1, 'guard'],
      ]),
    });
  });

  it("tells that of another run's job, whose mark is in its meta", () => {
    const log = `${control('start 0')}out\n${control('end 0 0')}${control('done ok')}`;
    const results = [JSON.stringify({ version: 1, mark }), '', '{"mark":"."}', 'no JSON'].map((meta) => {
      const reader = new JobLogReader(null, { started() {}, ended() {}, line() {} });
      reader.learn(Buffer.from(meta));
      reader.push(Buffer.from(log));
      return reader.result.status;
    });
    expect(results).toEqual(['ok', 'cut', 'cut', 'cut']);
  });

  it('keeps the last 20 lines of a step', () => {
    const lines = Array.from({ length: 50 }, (_, i) => `l${i}`);
    const end = read([`${control('start 0')}${lines.join('\n')}\n${control('end 0 1')}`]).events.at(-1)!;
    expect(end[3]).toEqual(lines.slice(30));
  });
});

describe('a result file', () => {
  it.each([
    [
      'ok\n0 0\n1 0\n',
      'ok',
      [
        [0, '0'],
        [1, '0'],
      ],
    ],
    [
      'failed\n0 0\n1 guard\n',
      'failed',
      [
        [0, '0'],
        [1, 'guard'],
      ],
    ],
    ['busy\n', 'busy', []],
    ['', 'cut', []],
    ['cut\n0 0\n', 'cut', [[0, '0']]],
    ['gone\n', 'gone', []],
    ['\0\0\0\n', 'cut', []],
    ['ok\nnonsense\n-1 0\n0 99999\n', 'ok', []],
  ])('%j', (text, status, steps) => {
    const result = parseResult(Buffer.from(text));
    expect(result.status).toBe(status);
    expect([...result.steps]).toEqual(steps);
  });
});
