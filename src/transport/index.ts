import type { Host } from '../inventory/host.ts';
import type { Connection, Transport } from './connection.ts';
import { createLocalTransport } from './local/transport.ts';
import { createSshTransport, type SshTransportOptions } from './ssh/transport.ts';

export { createLocalTransport } from './local/transport.ts';
export { createSshTransport, type SshTransportOptions } from './ssh/transport.ts';

/** The transport of a run: this machine for hosts whose address is `local`, ssh for all others. */
export function createTransport(options: SshTransportOptions): Transport {
  const ssh = createSshTransport(options);
  const local = createLocalTransport();
  return {
    connect: (host: Host, signal?: AbortSignal): Promise<Connection> =>
      (host.connection.address === 'local' ? local : ssh).connect(host, signal),
    close: async () => {
      await Promise.all([ssh.close(), local.close()]);
    },
  };
}
