import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import type { FleetError } from '../../../src/lib/errors.ts';
import { runScript, type ShellEnd } from '../../../src/transport/session.ts';

/** A shell that takes the script, prints what `answer` makes of the nonce in it, and ends. */
async function shellThat(answer: (nonce: string) => string, end: Partial<ShellEnd>) {
  const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()];
  const over = new Promise<ShellEnd>((resolve) => {
    stdin.once('data', (script: Buffer) => {
      const nonce = /BF_NONCE=([0-9a-f]{32})/.exec(script.toString())![1]!;
      stdout.write(answer(nonce));
      setImmediate(() => resolve({ status: null, signal: null, lost: false, ...end }));
    });
  });
  const channel = { stdin, stdout, stderr, over, close: () => {} };
  const request = { body: ['true'], become: false, deadline: 10, maxBytes: 65536 };
  return runScript('hv01', channel, request, () => {
    throw new Error('the script had begun');
  }).catch((error: FleetError) => error.code);
}

const whole = (rc: number) => (nonce: string) =>
  `\n${nonce} h\n\n${nonce} b a\nx\n${nonce} e a 0\n\n${nonce} q ${rc}\n`;

describe('a script', () => {
  it('that has said its end has ended, also where the server does not say how', async () => {
    for (const end of [{ status: 0 }, { status: null }, { status: null, lost: true }])
      expect(await shellThat(whole(0), end)).toMatchObject({ status: 0 });
    expect(await shellThat(whole(7), { status: 7 })).toMatchObject({ status: 7 });
  });

  // bash runs the trap at exit also where a signal ends it, with the status of the command before.
  it.each([{ status: 143 }, { signal: 'TERM' }, { status: null, signal: 'HUP' }])(
    'whose shell was ended by a signal has not, whatever its trap says: %j',
    async (end) => {
      expect(await shellThat(whole(0), end)).toBe('E_PROTOCOL');
    },
  );

  it('that did not say its end was cut', async () => {
    expect(await shellThat((nonce) => `\n${nonce} h\n`, { status: 0 })).toBe('E_PROTOCOL');
    expect(await shellThat((nonce) => `\n${nonce} h\n`, { lost: true })).toBe('E_UNREACHABLE');
  });
});
