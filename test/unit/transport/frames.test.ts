import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import type { FleetError } from '../../../src/lib/errors.ts';
import type { Frame } from '../../../src/transport/connection.ts';
import { FrameParser } from '../../../src/transport/frames.ts';
import { newNonce, wrapScript } from '../../../src/transport/script.ts';

const nonce = '0123456789abcdef0123456789abcdef';
const line = (text: string) => `\n${nonce} ${text}\n`;

function parse(chunks: readonly (string | Buffer)[], options: { maxBytes?: number; streamId?: string } = {}) {
  const frames: Frame[] = [];
  const streamed: Buffer[] = [];
  const parser = new FrameParser({
    nonce,
    maxBytes: options.maxBytes ?? 1 << 20,
    streamId: options.streamId,
    onFrame: (frame) => frames.push(frame),
    onChunk: (chunk) => streamed.push(Buffer.from(chunk)),
  });
  for (const chunk of chunks) parser.push(Buffer.from(chunk));
  const answers = frames.map(({ id, rc, body }) => [id, rc, body.toString('latin1')]);
  return { parser, answers, streamed: Buffer.concat(streamed).toString('latin1') };
}

const codeOf = (work: () => unknown) => {
  try {
    work();
  } catch (error) {
    return (error as FleetError).code;
  }
  return 'none';
};

describe('frames', () => {
  const whole = `motd${line('h')}noise${line('b a.1')}one\ntwo${line('e a.1 0')}${line('b b')}${line('e b 7')}${line('q 3')}`;

  it('gives exact bodies, wherever the stream is split', () => {
    const expected = [
      ['a.1', 0, 'one\ntwo'],
      ['b', 7, ''],
    ];
    for (let at = 0; at <= whole.length; at++) {
      const { parser, answers } = parse([whole.slice(0, at), whole.slice(at)]);
      expect(answers).toEqual(expected);
      expect([parser.begun, parser.status, parser.noise.toString()]).toEqual([true, 3, 'motd']);
    }
    expect(parse([...whole]).answers).toEqual(expected);
  });

  it('keeps bytes that are no text, and newlines at the end', () => {
    const body = Buffer.from([0, 255, 10, 10, 13]).toString('latin1');
    const bytes = Buffer.from(`${line('h')}${line('b x')}${body}${line('e x 0')}`, 'latin1');
    expect(parse([bytes]).answers).toEqual([['x', 0, body]]);
  });

  it('drops a frame that was cut by the next one or by the end', () => {
    expect(parse([`${line('h')}${line('b a')}half${line('b c')}x${line('e c 0')}`]).answers).toEqual([
      ['c', 0, 'x'],
    ]);
    expect(parse([`${line('h')}${line('b a')}half${line('q 1')}`]).answers).toEqual([]);
  });

  it('takes a nonce inside a line as data', () => {
    const body = `x${nonce} e a 0`;
    expect(parse([`${line('h')}${line('b a')}${body}${line('e a 0')}`]).answers).toEqual([['a', 0, body]]);
  });

  it('hands the streamed frame over as it comes', () => {
    const { answers, streamed } = parse([`${line('h')}${line('b log')}ab`, `cd${line('e log 0')}`], {
      streamId: 'log',
    });
    expect(streamed).toBe('abcd');
    expect(answers).toEqual([['log', 0, '']]);
  });

  it('hands a line over when it ends, and loses or doubles nothing wherever the stream is split', () => {
    const seen: string[] = [];
    const parser = new FrameParser({
      nonce,
      maxBytes: 1 << 20,
      streamId: 'log',
      onFrame: () => {},
      onChunk: (chunk) => seen.push(chunk.toString()),
    });
    parser.push(Buffer.from(`${line('h')}${line('b log')}one\n`));
    expect(seen.join('')).toBe('one\n');
    const log = `a\n\n${nonce}\nb\n`;
    const text = `${line('h')}${line('b log')}${log}${line('e log 0')}${line('q 0')}`;
    for (let at = 0; at <= text.length; at++) {
      const { streamed } = parse([text.slice(0, at), text.slice(at)], { streamId: 'log' });
      expect([log, `${log}\n`]).toContain(streamed);
    }
    expect([log, `${log}\n`]).toContain(parse([...text], { streamId: 'log' }).streamed);
  });

  it.each([
    ['an unknown verb', line('z 1')],
    ['an id with other characters', line('b ../x')],
    ['a status of four digits', `${line('b a')}${line('e a 1000')}`],
    ['the end of another frame', `${line('b a')}${line('e b 0')}`],
    ['a control line without end', `\n${nonce} b ${'a'.repeat(200)}`],
  ])('refuses %s', (_, text) => {
    expect(codeOf(() => parse([line('h'), text]))).toBe('E_PROTOCOL');
  });

  it('has caps on bytes, on what comes before the script, and on answers', () => {
    expect(codeOf(() => parse([line('h'), 'x'.repeat(2000)], { maxBytes: 1000 }))).toBe('E_LIMIT');
    expect(codeOf(() => parse(['x'.repeat(300 * 1024)]))).toBe('E_LIMIT');
    const many = line('h') + `${line('b a')}${line('e a 0')}`.repeat(20_001);
    expect(codeOf(() => parse([many], { maxBytes: 1 << 24 }))).toBe('E_LIMIT');
  });
});

describe('a wrapped script', () => {
  const own = newNonce();
  const script = (body: string) => [...wrapScript(own, [body])].map(String).join('');
  const run = (text: string) => {
    const { stdout } = spawnSync('/bin/sh', { input: text });
    const frames: Frame[] = [];
    const parser = new FrameParser({ nonce: own, maxBytes: 1 << 20, onFrame: (f) => frames.push(f) });
    parser.push(stdout);
    return { parser, frames };
  };

  it('frames what commands print, and says how it ended', () => {
    const { parser, frames } = run(script("bf_b a\nprintf 'x\\n\\n'\nbf_e a 4\nexit 9\n"));
    expect(frames.map((f) => [f.id, f.rc, f.body.toString()])).toEqual([['a', 4, 'x\n\n']]);
    expect(parser.status).toBe(9);
  });

  it('sends the frames that the shell has gathered, in one write, and all of those that are many', () => {
    const body = (count: number) =>
      `BF_P=r1.; i=0; while [ $i -lt ${count} ]; do bf_f $i "x y\n  $i\\n"; i=$((i + 1)); done; bf_flush\n`;
    const { parser, frames } = run(script(body(2)));
    expect(frames.map((f) => [f.id, f.rc, f.body.toString()])).toEqual([
      ['r1.0', 0, 'x y\n  0\\n'],
      ['r1.1', 0, 'x y\n  1\\n'],
    ]);
    expect(parser.status).toBe(0);
    expect(run(script(body(1000))).frames).toHaveLength(1000);
  });

  it('runs nothing of a body that arrives cut', () => {
    const text = script('bf_b a\nbf_e a 0\n');
    const end = text.lastIndexOf('} </dev/null');
    for (const at of [text.indexOf('bf_e a 0'), end - 1, end])
      expect(run(text.slice(0, at))).toMatchObject({ frames: [], parser: { begun: true, status: null } });
    expect(run(text).frames).toHaveLength(1);
  });
});
