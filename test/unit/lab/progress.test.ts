import { Writable } from 'node:stream';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { textProgress } from '../../../src/lab/progress.ts';

let written: string;
function stream(isTTY: boolean, columns = 60): NodeJS.WriteStream {
  const sink = new Writable({
    write(chunk, _encoding, done) {
      written += chunk;
      done();
    },
  });
  return Object.assign(sink, { isTTY, columns }) as unknown as NodeJS.WriteStream;
}

beforeEach(() => {
  written = '';
  vi.stubEnv('CI', undefined);
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllEnvs();
});

test('a program that says nothing is still told of, every few seconds', () => {
  const progress = textProgress(stream(false));
  progress.step('making it');
  for (let second = 0; second < 20; second++) vi.advanceTimersByTime(1000);
  const lines = written.trimEnd().split('\n');
  expect(lines.length).toBeGreaterThan(4);
  expect(lines.at(-1)).toMatch(/^ {2}making it … \d+ s$/);
  progress.end();
  const before = written;
  vi.advanceTimersByTime(60_000);
  expect(written).toBe(before);
});

test('many lines become few, the latest one is shown', () => {
  const progress = textProgress(stream(false));
  progress.step('making it');
  for (let n = 0; n < 1000; n++) {
    progress.line(`line ${n}`);
    vi.advanceTimersByTime(10);
  }
  progress.end();
  expect(written.split('\n').length).toBeLessThan(8);
  expect(written).toMatch(/3 s \| line 299\n/);
});

test('a terminal gets one line, redrawn, never wider than it is and free of escapes from outside', () => {
  const progress = textProgress(stream(true, 40));
  progress.step('making it');
  vi.advanceTimersByTime(200);
  progress.line(`\x1b]0;title\x07${'x'.repeat(100)}`);
  vi.advanceTimersByTime(5000);
  expect(written).not.toContain('\n');
  expect(written).not.toContain('\x1b]');
  for (const drawn of written.split('\r\x1b[K')) expect([...drawn].length).toBeLessThan(40);
  progress.end();
  expect(written.endsWith('making it: 5 s\n')).toBe(true);
});
