import { homedir } from 'node:os';
import { join } from 'node:path';
import type { Host } from '../../inventory/host.ts';
import { printable } from '../../lib/terminal.ts';
import { failure } from '../failure.ts';
import type { AuthRequest } from './auth.ts';
import type { HostKeyTarget } from './host-key.ts';
import type { SshConfig } from './ssh-config.ts';
import { DEFAULT_IDENTITIES } from './ssh-config-file.ts';

/** One end of an ssh connection, everything looked up. */
export interface SshTarget {
  host: string;
  address: string;
  port: number;
  user: string;
  auth: AuthRequest;
  hostKey: HostKeyTarget;
  /** as written: a list of hops by comma, nearest first; null when the host is reached directly */
  jump: string | null;
}

// What ssh(1) takes without a shell or an option in it; '-' never first.
const NAME = /^[A-Za-z0-9_][A-Za-z0-9._:%@+~-]*$/;

/**
 * Merges the inventory with the ssh configuration; the inventory goes first.
 * @param known known_hosts files of the run, null for those of the ssh configuration
 * @throws FleetError E_INVENTORY for names that can not be, or a proxy command
 */
export async function resolveTarget(
  host: Host,
  config: SshConfig,
  known: readonly string[] | null,
): Promise<SshTarget> {
  const vars = host.connection;
  const alias = vars.address ?? host.name;
  const bad = (what: string, value: string, hint = 'letters, digits and . _ - : are taken') =>
    failure(host.name, 'E_INVENTORY', `${what} '${printable(value)}' can not be`, hint);
  if (!NAME.test(alias)) throw bad('the address', alias);
  if (vars.user !== undefined && !NAME.test(vars.user)) throw bad('the user', vars.user);
  const settings = await config.resolve(host.name, alias, {
    ...(vars.port !== undefined && { port: vars.port }),
    ...(vars.user !== undefined && { user: vars.user }),
  });
  if (!NAME.test(settings.hostname)) throw bad('the address', settings.hostname);
  if (!NAME.test(settings.user)) throw bad('the user', settings.user);
  if (!Number.isInteger(settings.port) || settings.port < 1 || settings.port > 65535)
    throw bad('the port', String(settings.port), 'a number from 1 to 65535');
  if (vars.jump === undefined && settings.proxyCommand !== null)
    throw failure(
      host.name,
      'E_INVENTORY',
      'the ssh configuration sets ProxyCommand for this host, which is not supported',
      'use ProxyJump there, or set jump in the inventory',
    );
  const named = vars.identity_file !== undefined;
  const identities = named
    ? [{ path: expandHome(vars.identity_file!), named: true }]
    : settings.identityFiles
        .filter((path) => !path.includes('_sk') && !path.endsWith('/id_dsa') && !path.endsWith('/id_xmss'))
        .map((path) => ({ path: expandHome(path), named: !DEFAULT_IDENTITIES.includes(path) }));
  const files = known ?? [...settings.userKnownHostsFiles, ...settings.globalKnownHostsFiles];
  return {
    host: host.name,
    address: settings.hostname,
    port: settings.port,
    user: settings.user,
    auth: {
      identities,
      identitiesOnly: settings.identitiesOnly,
      agentSocket: agentSocket(settings.identityAgent),
    },
    hostKey: {
      host: host.name,
      address: settings.hostKeyAlias ?? settings.hostname,
      // With an alias ssh lists the host by it alone, without a port.
      port: settings.hostKeyAlias === null ? settings.port : 22,
      pins: vars.host_keys ?? [],
      files: files.filter((file) => file.toLowerCase() !== 'none').map(expandHome),
      hash: settings.hashKnownHosts,
    },
    jump: vars.jump ?? settings.proxyJump,
  };
}

function agentSocket(identityAgent: string | null): string | null {
  const usual = process.env.SSH_AUTH_SOCK || null;
  if (identityAgent === null || identityAgent === 'SSH_AUTH_SOCK') return usual;
  if (identityAgent === 'none') return null;
  if (identityAgent.startsWith('$')) return process.env[identityAgent.slice(1)] || null;
  return expandHome(identityAgent);
}

function expandHome(path: string): string {
  return path === '~' || path.startsWith('~/') ? join(homedir(), path.slice(1)) : path;
}
