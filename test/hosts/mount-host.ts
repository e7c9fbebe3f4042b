import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import type { Host } from '../../src/inventory/host.ts';
import type { Connection, ScriptRequest, Transport } from '../../src/transport/connection.ts';
import { runScript, type ShellEnd } from '../../src/transport/session.ts';
import { silence } from '../../src/transport/sudo.ts';

/** This machine with a /var/lib and a /run of its own: what jobs keep and lock there is nobody else's. */
export interface MountHost {
  transport: Transport;
  /** runs argv there and returns what it printed; a non-zero end is an error */
  exec(argv: readonly string[]): string;
  /** one script over one shell, as a connection runs it */
  run(body: ScriptRequest['body']): ReturnType<Connection['run']>;
  destroy(): void;
}

/** @param size of /var/lib, as mount's option of that name */
export async function createMountHost(size = '64m'): Promise<MountHost> {
  const setup = `mount -t tmpfs -o size=${size} tmpfs /var/lib; mount -t tmpfs tmpfs /run; echo up; exec sleep 3600`;
  const keeper = spawn('unshare', ['--mount', 'sh', '-ec', setup], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(keeper.stdout!, 'data');
  const enter = ['--target', String(keeper.pid), '--mount', '--'];
  const open: ChildProcess[] = [];
  const connect = async (host: Host): Promise<Connection> => {
    let alive = true;
    return {
      host: host.name,
      roundTrips: 0,
      get alive() {
        return alive;
      },
      async run(request) {
        const child = spawn('nsenter', [...enter, '/bin/sh'], { stdio: 'pipe' });
        open.push(child);
        const over = new Promise<ShellEnd>((resolve) =>
          child.once('close', (status, signal) => resolve({ status, signal, lost: false })),
        );
        const close = () => {
          for (const stream of [child.stdin, child.stdout, child.stderr]) stream.destroy();
        };
        const { stdin, stdout, stderr } = child;
        return runScript(host.name, { stdin, stdout, stderr, over, close }, request, (end, err, out) =>
          silence(host.name, 'root', false, end, err, out),
        );
      },
      async close() {
        alive = false;
      },
    };
  };
  return {
    transport: { connect, close: async () => {} },
    exec(argv) {
      const { status, stdout, stderr } = spawnSync('nsenter', [...enter, ...argv], { encoding: 'utf8' });
      if (status !== 0) throw new Error(`${argv.join(' ')}: ${stderr}`);
      return stdout;
    },
    async run(body) {
      const connection = await connect({ name: 'here', groups: [], vars: {}, connection: {} });
      return connection.run({ body, become: false, deadline: 60, maxBytes: 1 << 24 });
    },
    destroy() {
      for (const child of open) child.kill();
      keeper.kill();
    },
  };
}
