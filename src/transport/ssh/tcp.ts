import { connect, type Socket } from 'node:net';
import { failure } from '../failure.ts';

const reasons: Readonly<Record<string, readonly [string, string]>> = {
  ECONNREFUSED: ['refused the connection', 'is sshd running there, on that port?'],
  EHOSTUNREACH: ['can not be reached (no route to host)', 'is it up, and is the network?'],
  ENETUNREACH: ['can not be reached (no route to its network)', 'is the network up?'],
  ENOTFOUND: ['has no address (name not found)', 'correct its name, or set address in the inventory'],
  EAI_AGAIN: ['has no address (the name server does not answer)', 'is the name server reachable?'],
  ETIMEDOUT: ['did not answer', 'is it up, and is its port open to you?'],
  ECONNRESET: ['reset the connection', 'is something else than sshd on that port?'],
};

/**
 * Opens a socket with Nagle's delay off: the handshake is many small messages.
 * @param seconds for the name, and for the connection
 * @throws FleetError E_UNREACHABLE, E_TIMEOUT, E_INTERRUPTED
 */
export function openTcp(
  host: string,
  address: string,
  port: number,
  seconds: number,
  signal?: AbortSignal,
): Promise<Socket> {
  const where = `${address}:${port}`;
  return new Promise((resolve, reject) => {
    if (signal?.aborted)
      return reject(failure(host, 'E_INTERRUPTED', `interrupted before connecting to ${where}`));
    const socket = connect({ host: address, port, noDelay: true });
    const settle = (outcome: () => void) => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
      socket.removeAllListeners();
      outcome();
    };
    const fail = (error: Error) =>
      settle(() => {
        socket.on('error', () => {});
        socket.destroy();
        reject(error);
      });
    const onAbort = () => fail(failure(host, 'E_INTERRUPTED', `interrupted while connecting to ${where}`));
    const timer = setTimeout(() => {
      const hint = 'is it up, and is its port open to you?';
      fail(failure(host, 'E_TIMEOUT', `${where} did not answer in ${seconds} s`, hint));
    }, seconds * 1000);
    signal?.addEventListener('abort', onAbort, { once: true });
    socket.once('connect', () => settle(() => resolve(socket)));
    socket.once('error', (error: NodeJS.ErrnoException) => {
      const [what, hint] = reasons[error.code ?? ''] ?? [
        `can not be reached (${error.code ?? error.message})`,
        undefined,
      ];
      fail(failure(host, 'E_UNREACHABLE', `${where} ${what}`, hint, error));
    });
  });
}
