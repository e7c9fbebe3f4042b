import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Host } from '../../inventory/host.ts';
import type { Connection, Transport } from '../connection.ts';
import { failure, withHost } from '../failure.ts';
import { Credentials } from './auth.ts';
import { type Deadlines, EarlyHangup, type Login, login } from './client.ts';
import { SshConnection } from './connection.ts';
import { HostKeys } from './host-key.ts';
import { forward, parseJump } from './jump.ts';
import { SshConfig } from './ssh-config.ts';
import { resolveTarget, type SshTarget } from './target.ts';
import { openTcp } from './tcp.ts';

export interface SshTransportOptions {
  hostKeys: 'strict' | 'accept-new';
  /** instead of those of the ssh configuration; the first is where new keys go */
  knownHostsFiles?: readonly string[];
  /** as with `ssh -F`; null for none */
  sshConfigFile?: string | null;
  /** seconds for TCP, for the banner and for the key exchange, each; default 10 */
  connectTimeout?: number;
  /** seconds for the login; default 15 */
  authTimeout?: number;
  /** seconds between signs of life that are asked for, default 5, and how many may be missing, default 3 */
  keepalive?: number;
  keepaliveMisses?: number;
  /** asked once a run, only when a sudo wants it */
  becomePassword?: () => Promise<string>;
  onNotice?: (host: string, text: string) => void;
  /** looks a jump host up by its inventory name */
  inventory?: (name: string) => Host | undefined;
}

interface Opened {
  stream: Duplex;
  login: Login;
  target: SshTarget;
}

const ATTEMPTS = 3;

/** Connections over ssh2. Keys, known_hosts and configuration are read once; jump hosts are shared. */
export function createSshTransport(options: SshTransportOptions): Transport {
  return new SshTransport(options);
}

class SshTransport implements Transport {
  private readonly options: SshTransportOptions;
  private readonly config: SshConfig;
  private readonly hostKeys: HostKeys;
  private readonly credentials = new Credentials();
  private readonly deadlines: Deadlines;
  private readonly jumps = new Map<string, Promise<Opened>>();
  private readonly connections = new Set<SshConnection>();
  private password: Promise<string> | undefined;

  constructor(options: SshTransportOptions) {
    this.options = options;
    this.config = new SshConfig(options.sshConfigFile);
    this.hostKeys = new HostKeys(options.hostKeys, options.onNotice ?? (() => {}));
    this.deadlines = {
      connect: options.connectTimeout ?? 10,
      auth: options.authTimeout ?? 15,
      keepalive: options.keepalive ?? 5,
      keepaliveMisses: options.keepaliveMisses ?? 3,
    };
  }

  async connect(host: Host, signal?: AbortSignal): Promise<Connection> {
    try {
      const target = await this.target(host);
      await this.refuseCircle(target);
      const { stream, login } = await this.open(target, signal);
      const ask = this.options.becomePassword;
      const connection = new SshConnection({
        host: host.name,
        user: target.user,
        stream,
        login,
        becomePassword: ask && (() => (this.password ??= ask())),
      });
      this.connections.add(connection);
      login.client.once('close', () => this.connections.delete(connection));
      return connection;
    } catch (error) {
      throw withHost(host.name, error);
    }
  }

  async close(): Promise<void> {
    await Promise.all([...this.connections].map((connection) => connection.close()));
    const jumps = [...this.jumps.values()].reverse();
    this.jumps.clear();
    for (const jump of await Promise.allSettled(jumps)) {
      if (jump.status === 'rejected') continue;
      jump.value.login.client.end();
      jump.value.stream.destroy();
    }
  }

  /** Before anything is opened: hosts of a circle that share their hops would wait for each other for ever. */
  private async refuseCircle(target: SshTarget): Promise<void> {
    const chain = [target.host];
    for (let at = target; at.jump !== null; ) {
      const hops = this.hops(at);
      const again = hops.find((hop) => chain.includes(hop.name));
      if (again !== undefined)
        throw failure(
          target.host,
          'E_INVENTORY',
          `jump hosts go round in a circle: ${[...chain, again.name].join(' → ')}`,
          'correct jump in the inventory, or ProxyJump in the ssh configuration',
        );
      // Later hops are reached through the first, whatever is said of them.
      chain.push(hops[0]!.name);
      at = await this.target(hops[0]!);
    }
  }

  private hops({ host, jump }: SshTarget): Host[] {
    return parseJump(host, jump ?? '', this.options.inventory ?? (() => undefined));
  }

  private target(host: Host): Promise<SshTarget> {
    return resolveTarget(host, this.config, this.options.knownHostsFiles ?? null);
  }

  private async open(target: SshTarget, signal?: AbortSignal): Promise<Opened> {
    const { host, address, port } = target;
    if (target.jump === null)
      return this.dial(target, () => openTcp(host, address, port, this.deadlines.connect, signal), signal);
    let through: Opened | null = null;
    let path = '';
    for (const hop of this.hops(target)) {
      path += `,${hop.name}/${hop.connection.user ?? ''}/${hop.connection.port ?? ''}`;
      through = await this.jump(path, hop, through, signal);
    }
    return this.dialThrough(target, through!, signal);
  }

  private dialThrough(target: SshTarget, hop: Opened, signal?: AbortSignal): Promise<Opened> {
    const { host, address, port } = target;
    const through = { client: hop.login.client, name: hop.target.host };
    return this.dial(target, () => forward(host, through, address, port, this.deadlines.connect), signal);
  }

  /** Connects and logs in; a server that hangs up before login is tried again, a little later and at random. */
  private async dial(
    target: SshTarget,
    openStream: () => Promise<Duplex>,
    signal?: AbortSignal,
  ): Promise<Opened> {
    const hostKey = await this.hostKeys.check(target.hostKey);
    const auth = await this.credentials.plan(target.auth);
    const { host, user } = target;
    const where = `${target.address}:${target.port}`;
    for (let attempt = 1; ; attempt++) {
      const stream = await openStream();
      try {
        const opened = await login(stream, {
          host,
          where,
          user,
          auth,
          hostKey,
          deadlines: this.deadlines,
          signal,
        });
        return { stream, login: opened, target };
      } catch (error) {
        if (!(error instanceof EarlyHangup)) throw error;
        if (attempt === ATTEMPTS)
          throw failure(
            host,
            'E_UNREACHABLE',
            `${error.message}, ${ATTEMPTS} times`,
            'its sshd may be over MaxStartups, or a filter drops you: look at journalctl -u ssh there',
            error,
          );
        await sleep((0.2 + Math.random()) * attempt * 500, undefined, { signal }).catch(() => {});
      }
    }
  }

  /** The shared connection to a hop; made anew when it broke. Its first user's signal does not end it for others. */
  private async jump(path: string, hop: Host, before: Opened | null, signal?: AbortSignal): Promise<Opened> {
    let opened = this.jumps.get(path);
    if (!opened) {
      opened = this.openJump(hop, before);
      this.jumps.set(path, opened);
      const forget = () => this.jumps.delete(path);
      opened.then(({ login }) => {
        login.client.on('error', forget);
        login.client.on('close', forget);
      }, forget);
    }
    if (!signal) return opened;
    return Promise.race([
      opened,
      new Promise<never>((_, reject) => {
        const stop = () => reject(failure(hop.name, 'E_INTERRUPTED', 'interrupted while connecting'));
        if (signal.aborted) stop();
        else signal.addEventListener('abort', stop, { once: true });
      }),
    ]);
  }

  private async openJump(hop: Host, before: Opened | null): Promise<Opened> {
    const target = await this.target(hop);
    return before === null ? this.open(target) : this.dialThrough(target, before);
  }
}
