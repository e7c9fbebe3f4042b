import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect } from 'vitest';
import type { Host } from '../../src/inventory/host.ts';
import { FleetError } from '../../src/lib/errors.ts';
import type { Connection, ScriptRequest, Transport } from '../../src/transport/connection.ts';
import { createTransport, type SshTransportOptions } from '../../src/transport/index.ts';
import { PASSWORD, TestSshd } from './sshd.ts';

const SUDOERS = `
Defaults env_reset
Defaults:notty requiretty
Defaults:pty use_pty
root ALL=(ALL:ALL) ALL
deploy,csh,fish,loud,pty,notty ALL=(root) NOPASSWD: ALL
pass ALL=(root) ALL
`;
export const fish = '/usr/bin/fish';
/** The server, and a folder for what a test makes; there from the first hook of useSshHosts() on. */
export let sshd: TestSshd;
export let scratch: string;
/** Connections to be closed behind each test. */
export const transports: Transport[] = [];

/** One sshd for a file of tests, with a user for each way in which a login can be. */
export function useSshHosts(): void {
  beforeAll(async () => {
    scratch = mkdtempSync(join(tmpdir(), 'blkfleet-ssh-test-'));
    sshd = await TestSshd.start({
      sudoers: SUDOERS,
      users: [
        { name: 'root', uid: 0 },
        { name: 'deploy', uid: 5001, shell: '/bin/bash' },
        { name: 'pass', uid: 5002 },
        { name: 'nosudo', uid: 5003 },
        { name: 'notty', uid: 5004 },
        { name: 'pty', uid: 5005 },
        { name: 'csh', uid: 5006, shell: '/bin/csh' },
        { name: 'fish', uid: 5007, shell: fish },
        { name: 'nologin', uid: 5008, shell: '/usr/sbin/nologin' },
        {
          name: 'loud',
          uid: 5009,
          shell: '/bin/bash',
          bashrc: 'echo "Welcome!"; echo "to the host"; printf "no newline"\n',
        },
        { name: 'quits', uid: 5010, shell: '/bin/bash', bashrc: 'exit 0\n' },
        { name: 'forced', uid: 5011, keyOptions: 'command="echo only backups here"' },
        { name: 'floods', uid: 5012, shell: '/bin/bash', bashrc: 'yes "this never ends"\n' },
        { name: 'echoes', uid: 5013, keyOptions: 'command="cat"' },
      ],
    });
  });

  afterEach(async () => {
    await Promise.all(transports.splice(0).map((t) => t.close()));
  });

  afterAll(async () => {
    await sshd?.remove();
    rmSync(scratch, { recursive: true, force: true });
  });
}

export function transport(options: Partial<SshTransportOptions> = {}): Transport {
  const made = createTransport({
    hostKeys: 'strict',
    knownHostsFiles: [sshd.knownHosts],
    sshConfigFile: null,
    connectTimeout: 5,
    ...options,
  });
  transports.push(made);
  return made;
}

export function host(user: string, connection: Partial<Host['connection']> = {}): Host {
  return {
    name: `${user}-host`,
    groups: [],
    vars: {},
    connection: { address: '127.0.0.1', port: sshd.port, user, identity_file: sshd.identity, ...connection },
  };
}

export const request = (body: string, more: Partial<ScriptRequest> = {}): ScriptRequest => ({
  body: [body],
  become: true,
  deadline: 30,
  maxBytes: 1 << 20,
  ...more,
});
export const whoami = 'bf_b id\nid -un\nbf_e id $?\n';

export async function connect(user: string, options?: Partial<SshTransportOptions>): Promise<Connection> {
  return transport(options).connect(host(user));
}

/** The one diagnostic of a rejection; its code is what callers compare. */
export async function failureOf(promise: Promise<unknown>): Promise<FleetError> {
  const error = await promise.then(
    () => new Error('it did not fail'),
    (reason) => reason,
  );
  if (!(error instanceof FleetError)) throw error;
  expect(error.diagnostics[0]!.host).toBeTruthy();
  expect(JSON.stringify(error.diagnostics)).not.toContain(PASSWORD);
  return error;
}
