import { failure } from '../failure.ts';
import type { ShellChannel } from '../session.ts';
import { silence, sudoFailure } from '../sudo.ts';
import { TailBuffer } from '../tail.ts';

/** PAM delays a refusal by some seconds, and may ask a directory first. */
const SUDO_DEADLINE = 30;
const KEPT = 8192;

export interface BecomeRequest {
  prompt: string;
  ready: string;
  password: string;
  signal?: AbortSignal | undefined;
}

/**
 * Gets a root shell by password. The password is written once, after our own prompt was seen on stderr: until then
 * whatever reads stdin is not known to be sudo. Resolves when the root shell has said that it is ready.
 * @throws FleetError E_SUDO, E_SHELL, E_TIMEOUT, E_INTERRUPTED; the channel is closed then
 */
export function becomeByPassword(
  host: string,
  user: string,
  channel: ShellChannel,
  request: BecomeRequest,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const stdout = new TailBuffer(KEPT);
    const stderr = new TailBuffer(KEPT);
    let sent = false;
    let settled = false;
    const settle = (error: Error | null) => {
      if (settled) return;
      settled = true;
      clearTimeout(timer);
      request.signal?.removeEventListener('abort', onAbort);
      channel.stdout.removeListener('data', onStdout);
      channel.stderr.removeListener('data', onStderr);
      if (error) {
        // Read on and drop, so that the channel can close.
        channel.stdout.resume();
        channel.stderr.resume();
        channel.close();
        reject(error);
      } else resolve();
    };
    const onAbort = () => settle(failure(host, 'E_INTERRUPTED', 'interrupted while sudo was asked'));
    const timer = setTimeout(
      () =>
        settle(
          failure(
            host,
            'E_TIMEOUT',
            `sudo did not answer within ${SUDO_DEADLINE} s`,
            'is its PAM stack waiting for something?',
          ),
        ),
      SUDO_DEADLINE * 1000,
    );
    const onStdout = (chunk: Buffer) => {
      stdout.push(chunk);
      if (stdout.bytes().includes(`${request.ready}\n`)) settle(null);
    };
    const onStderr = (chunk: Buffer) => {
      stderr.push(chunk);
      const prompts = stderr.bytes().toString('latin1').split(request.prompt).length - 1;
      // Asked again: it was wrong, and a second try could lock the account.
      if (prompts > 1) return settle(sudoFailure(host, user, 'wrong-password', Buffer.alloc(0)));
      if (prompts === 1 && !sent) {
        sent = true;
        channel.stdin.write(`${request.password}\n`);
      }
    };
    channel.stdin.on('error', () => {});
    channel.stdout.on('data', onStdout);
    channel.stderr.on('data', onStderr);
    channel.over.then((end) => {
      if (settled) return;
      if (end.lost)
        return settle(failure(host, 'E_UNREACHABLE', 'the connection was lost while sudo was asked'));
      settle(silence(host, user, true, end, stderr.bytes(), stdout.bytes()));
    });
    if (request.signal?.aborted) onAbort();
    else request.signal?.addEventListener('abort', onAbort, { once: true });
  });
}
