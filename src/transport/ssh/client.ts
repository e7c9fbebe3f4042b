import type { Duplex } from 'node:stream';
import ssh2, { type AnyAuthMethod, type Client, type ConnectConfig } from 'ssh2';
import type { FleetError } from '../../lib/errors.ts';
import { cut, printable } from '../../lib/terminal.ts';
import { failure } from '../failure.ts';
import { algorithmsFor } from './algorithms.ts';
import { type AuthPlan, authFailure } from './auth.ts';
import type { HostKeyCheck } from './host-key.ts';
import { RoundTrips } from './round-trips.ts';

/** Times in seconds, one for each phase. */
export interface Deadlines {
  /** TCP, then the server's banner, then the key exchange: each */
  connect: number;
  auth: number;
  /** between two signs of life that are asked for, and how many may be missing */
  keepalive: number;
  keepaliveMisses: number;
}

export interface LoginRequest {
  /** inventory name */
  host: string;
  /** for messages: address:port */
  where: string;
  user: string;
  auth: AuthPlan;
  hostKey: HostKeyCheck;
  deadlines: Deadlines;
  signal?: AbortSignal | undefined;
}

export interface Login {
  client: Client;
  trips: RoundTrips;
}

type Phase = 'banner' | 'key exchange' | 'login';

/** The server hung up before login: sshd does so at random above MaxStartups, so it is worth another try. */
export class EarlyHangup extends Error {}

/**
 * Does the handshake on an open stream and logs in.
 * @param stream connected; destroyed on failure
 * @throws FleetError E_HOST_KEY, E_AUTH, E_UNREACHABLE, E_TIMEOUT, E_INTERRUPTED; EarlyHangup when a retry may help
 */
export function login(stream: Duplex, request: LoginRequest): Promise<Login> {
  const { host, where, user, deadlines, signal } = request;
  return new Promise((resolve, reject) => {
    const client = new ssh2.Client();
    let phase: Phase = 'banner';
    let timer: NodeJS.Timeout | undefined;
    let settled = false;
    let refused: FleetError | null = null;
    let shownKey: Buffer | null = null;
    let methods: readonly string[] | null = null;
    let next = 0;
    const tried: string[] = [];
    const notes = [...request.auth.notes];

    const settle = (outcome: () => void) => {
      if (settled) return;
      settled = true;
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
      outcome();
    };
    const fail = (error: Error) =>
      settle(() => {
        client.destroy();
        stream.destroy();
        reject(error);
      });
    const onAbort = () => fail(failure(host, 'E_INTERRUPTED', `interrupted while connecting to ${where}`));
    const enter = (name: Phase, seconds: number) => {
      phase = name;
      clearTimeout(timer);
      timer = setTimeout(() => {
        const hint = 'is it overloaded, or is it no ssh server?';
        fail(failure(host, 'E_TIMEOUT', `${where} did not get through the ${name} in ${seconds} s`, hint));
      }, seconds * 1000);
    };
    const authError = () => authFailure(host, user, { ...request.auth, notes }, tried, methods);

    client.on('handshake', () => {
      enter('login', deadlines.auth);
      // ssh2 answers an OpenSSH server's list of its host keys by having each of them sign, and checks that, for an event
      // that nobody here hears: half of a handshake's cost on both sides. It asks only what calls itself OpenSSH.
      (client as unknown as { _remoteVer?: string })._remoteVer = '';
    });
    client.on('ready', () => {
      // The key is written down only now: the host has signed with it.
      const proven = shownKey ? request.hostKey.proven(shownKey) : Promise.resolve();
      proven.then(() => settle(() => resolve({ client, trips })));
    });
    client.on('error', (error: Error & { level?: string; code?: unknown }) => {
      if (settled) return;
      if (error.level === 'agent') {
        notes.push({ text: `the agent failed to sign (${printable(error.message)})` });
        return;
      }
      if (refused) return fail(refused);
      if (error.level === 'client-authentication') return fail(authError());
      fail(explain(error));
    });
    client.on('close', () => settled || fail(refused ?? hungUp()));

    const explain = (error: Error & { level?: string; code?: unknown }): Error => {
      const said = cut(printable(error.message), 200);
      if (error.level === 'handshake' && /host key format/i.test(said) && request.hostKey.types.size > 0)
        return request.hostKey.noCommonType();
      if (error.level === 'handshake')
        return failure(
          host,
          'E_UNREACHABLE',
          `no key exchange with ${where}: ${said}`,
          'it needs curve25519-sha256 or ecdh-sha2-nistp256, aes-gcm or aes-ctr, and an ed25519, ecdsa or rsa-sha2 host key',
          error,
        );
      // A DISCONNECT with a reason: "Too many authentication failures" and the like.
      if (phase === 'login' && typeof error.code === 'number') {
        notes.push({ text: `the server ended it: ${said}`, hint: 'name one key by identity_file' });
        return authError();
      }
      if (error.level === 'client-socket' || /^Connection lost/.test(error.message)) return hungUp(error);
      return failure(
        host,
        'E_UNREACHABLE',
        `${where} does not speak ssh as expected: ${said}`,
        undefined,
        error,
      );
    };
    const hungUp = (cause?: Error): Error =>
      phase === 'login'
        ? failure(
            host,
            'E_UNREACHABLE',
            `${where} hung up during login`,
            `its log says why: journalctl -u ssh; user '${user}' may be denied or locked`,
            cause,
          )
        : new EarlyHangup(`${where} hung up during the ${phase}`, { cause });

    const authHandler = (
      left: readonly string[] | null,
      partial: boolean | null,
      go: (method: AnyAuthMethod | false) => void,
    ) => {
      if (left) methods = left;
      if (partial)
        notes.push({
          text: `the server wants more than a key: ${left?.join(', ') ?? ''}`,
          hint: 'a second factor can not be given here; allow keys alone for this user',
        });
      const attempt = request.auth.attempts[next++];
      if (!attempt) return go(false);
      tried.push(attempt.label);
      go(attempt.method(user));
    };

    if (signal?.aborted) return onAbort();
    signal?.addEventListener('abort', onAbort, { once: true });
    enter('banner', deadlines.connect);
    const config: ConnectConfig = {
      sock: stream,
      username: user,
      readyTimeout: 0,
      keepaliveInterval: deadlines.keepalive * 1000,
      keepaliveCountMax: deadlines.keepaliveMisses,
      algorithms: algorithmsFor(request.hostKey.types),
      authHandler: authHandler as unknown as NonNullable<ConnectConfig['authHandler']>,
      hostVerifier: (blob: Buffer) => {
        shownKey = Buffer.from(blob);
        refused = request.hostKey.verify(shownKey);
        return refused === null;
      },
    };
    try {
      client.connect(config);
    } catch (error) {
      return fail(failure(host, 'E_BUG', `ssh2 refused its settings: ${(error as Error).message}`));
    }
    const trips = new RoundTrips(stream);
    stream.once('data', () => {
      if (phase === 'banner') enter('key exchange', deadlines.connect);
    });
  });
}
