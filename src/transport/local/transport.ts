import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import type { Host } from '../../inventory/host.ts';
import type { Connection, ScriptRequest, ScriptResult, Transport } from '../connection.ts';
import { failure } from '../failure.ts';
import { runScript, type ShellChannel, type ShellEnd } from '../session.ts';
import { silence } from '../sudo.ts';

/** Runs scripts on this machine, for hosts with `address: local`; sudo must ask no password. */
export function createLocalTransport(): Transport {
  const open = new Set<LocalConnection>();
  return {
    async connect(host: Host): Promise<Connection> {
      const connection = new LocalConnection(host.name);
      open.add(connection);
      return connection;
    },
    async close() {
      await Promise.all([...open].map((connection) => connection.close()));
    },
  };
}

class LocalConnection implements Connection {
  readonly host: string;
  readonly roundTrips = 0;
  alive = true;
  private running: Promise<unknown> = Promise.resolve();
  private child: ChildProcessWithoutNullStreams | undefined;

  constructor(host: string) {
    this.host = host;
  }

  run(request: ScriptRequest): Promise<ScriptResult> {
    const result = this.running.then(() => this.runNow(request));
    this.running = result.catch(() => {});
    return result;
  }

  private async runNow(request: ScriptRequest): Promise<ScriptResult> {
    if (!this.alive) throw failure(this.host, 'E_UNREACHABLE', 'the connection is closed');
    const become = request.become && process.getuid?.() !== 0;
    const argv = become ? ['sudo', '-n', '--', '/bin/sh'] : ['/bin/sh'];
    const env = { ...process.env, LC_ALL: 'C' };
    const child = spawn(argv[0]!, argv.slice(1), { cwd: '/', env, stdio: 'pipe' });
    this.child = child;
    const user = process.env.USER ?? 'you';
    return runScript(this.host, asShell(child), request, (end, stderr, stdout) =>
      silence(this.host, user, become, end, stderr, stdout),
    );
  }

  async close(): Promise<void> {
    this.alive = false;
    this.child?.kill('SIGHUP');
  }
}

function asShell(child: ChildProcessWithoutNullStreams): ShellChannel {
  let over = false;
  return {
    stdin: child.stdin,
    stdout: child.stdout,
    stderr: child.stderr,
    over: new Promise<ShellEnd>((resolve) => {
      const end = (status: number | null, signal: string | null) => {
        over = true;
        resolve({ status, signal, lost: false });
      };
      child.once('error', (error: NodeJS.ErrnoException) => {
        child.stderr.push(
          Buffer.from(
            `env: ${child.spawnfile}: ${error.code === 'ENOENT' ? 'No such file' : error.message}\n`,
          ),
        );
        setImmediate(end, 127, null);
      });
      child.once('close', end);
    }),
    close() {
      if (over) return;
      // What a channel of ssh sees: its pipes are closed. A shell that does not mind is told.
      child.stdin.destroy();
      child.stdout.destroy();
      child.stderr.destroy();
      child.kill('SIGHUP');
    },
  };
}
