import { randomBytes } from 'node:crypto';
import type { Duplex } from 'node:stream';
import type { Client, ClientChannel } from 'ssh2';
import { printable } from '../../lib/terminal.ts';
import type { Connection, ScriptRequest, ScriptResult } from '../connection.ts';
import { failure } from '../failure.ts';
import { linkLost, runScript, type ShellChannel, type ShellEnd } from '../session.ts';
import { PLAIN_SHELL, passwordShell, SUDO_SHELL, silence, sudoTrouble } from '../sudo.ts';
import { becomeByPassword } from './become.ts';
import type { Login } from './client.ts';

/** How long a server may take to open a channel and start the login shell's command, in seconds. */
const EXEC_DEADLINE = 30;
const CLOSE_DEADLINE_MS = 500;

export interface SshConnectionOptions {
  host: string;
  user: string;
  stream: Duplex;
  login: Login;
  becomePassword?: (() => Promise<string>) | undefined;
}

/** One host over ssh2: one exec at a time, each one script. */
export class SshConnection implements Connection {
  readonly host: string;
  private readonly user: string;
  private readonly client: Client;
  private readonly login: Login;
  private readonly stream: Duplex;
  private readonly becomePassword: (() => Promise<string>) | undefined;
  private sudoWantsPassword = false;
  private running: Promise<unknown> = Promise.resolve();
  private open = true;
  private readonly gone: Promise<void>;

  constructor(options: SshConnectionOptions) {
    this.host = options.host;
    this.user = options.user;
    this.login = options.login;
    this.client = options.login.client;
    this.stream = options.stream;
    this.becomePassword = options.becomePassword;
    this.gone = new Promise((resolve) => {
      const end = () => {
        this.open = false;
        resolve();
      };
      this.client.once('close', end);
      this.client.once('end', end);
      // After a keepalive that nobody answered ssh2 destroys the stream, which need not say so.
      this.client.on('error', end);
    });
  }

  get roundTrips(): number {
    return this.login.trips.count;
  }

  get alive(): boolean {
    return this.open;
  }

  run(request: ScriptRequest): Promise<ScriptResult> {
    const result = this.running.then(() => this.runNow(request));
    this.running = result.catch(() => {});
    return result;
  }

  private async runNow(request: ScriptRequest): Promise<ScriptResult> {
    if (request.signal?.aborted)
      throw failure(this.host, 'E_INTERRUPTED', 'interrupted before a script was sent');
    const become = request.become && this.user !== 'root';
    if (become && this.sudoWantsPassword) return this.runByPassword(request);
    let wantsPassword = false;
    try {
      const channel = await this.exec(become ? SUDO_SHELL : PLAIN_SHELL);
      return await runScript(this.host, channel, request, (end, stderr, stdout) => {
        wantsPassword = become && sudoTrouble(stderr) === 'password-required';
        return silence(this.host, this.user, become, end, stderr, stdout);
      });
    } catch (error) {
      if (!wantsPassword || !this.becomePassword) throw error;
      this.sudoWantsPassword = true;
      return this.runByPassword(request);
    }
  }

  private async runByPassword(request: ScriptRequest): Promise<ScriptResult> {
    const prompt = `blkfleet-${randomBytes(16).toString('hex')}`;
    const ready = randomBytes(16).toString('hex');
    const password = await this.becomePassword!();
    const channel = await this.exec(passwordShell(prompt, ready));
    await becomeByPassword(this.host, this.user, channel, {
      prompt,
      ready,
      password,
      signal: request.signal,
    });
    return runScript(this.host, channel, request, (end, stderr, stdout) =>
      silence(this.host, this.user, true, end, stderr, stdout),
    );
  }

  /** Opens a channel with a command; E_UNREACHABLE when the link is gone, E_SHELL when the server refuses. */
  private exec(command: string): Promise<ShellChannel> {
    return new Promise((resolve, reject) => {
      if (!this.open) return reject(linkLost(this.host));
      let answered = false;
      const timer = setTimeout(
        () =>
          reject(failure(this.host, 'E_TIMEOUT', `the server did not start a shell in ${EXEC_DEADLINE} s`)),
        EXEC_DEADLINE * 1000,
      );
      // Every connection goes at last: an error, with its stack, is made only for one that goes too early.
      this.gone.then(() => answered || reject(linkLost(this.host)));
      try {
        this.client.exec(command, (error, channel) => {
          answered = true;
          clearTimeout(timer);
          if (!error) return resolve(this.asShell(channel));
          if (!this.open) return reject(linkLost(this.host, error));
          const message = `the server gives user '${this.user}' no shell: ${printable(error.message)}`;
          reject(
            failure(
              this.host,
              'E_SHELL',
              message,
              'see MaxSessions and ForceCommand in its sshd_config',
              error,
            ),
          );
        });
      } catch (error) {
        clearTimeout(timer);
        reject(linkLost(this.host, error));
      }
    });
  }

  private asShell(channel: ClientChannel): ShellChannel {
    const over = new Promise<ShellEnd>((resolve) => {
      channel.once('close', (status?: number | null, signal?: string) =>
        resolve({ status: status ?? null, signal: signal ?? null, lost: status === undefined && !this.open }),
      );
      this.gone.then(() => setTimeout(() => resolve({ status: null, signal: null, lost: true }), 50).unref());
    });
    const client = this.client;
    return {
      stdin: channel,
      stdout: channel,
      stderr: channel.stderr,
      over,
      close() {
        channel.close();
        // A server that goes on sending into a closed channel is cut off.
        const timer = setTimeout(() => client.destroy(), 10_000).unref();
        over.then(() => clearTimeout(timer));
      },
    };
  }

  async close(): Promise<void> {
    if (!this.open) {
      this.stream.destroy();
      return;
    }
    this.open = false;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, CLOSE_DEADLINE_MS);
      const done = () => {
        clearTimeout(timer);
        resolve();
      };
      this.stream.once('finish', done);
      this.stream.once('close', done);
      this.client.end();
    });
    this.client.destroy();
    this.stream.destroy();
  }
}
