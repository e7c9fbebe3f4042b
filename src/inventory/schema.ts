import { isIPv6 } from 'node:net';
import { z } from 'zod';

/** What a host, user or jump word may be: no leading dash, nothing that a shell or ssh would expand. */
const addressWord = /^[A-Za-z0-9_:][A-Za-z0-9._:%-]*$/;
const isAddress = (text: string) => addressWord.test(text) && (!text.includes(':') || isIPv6(text));
const userWord = /^[A-Za-z0-9_][A-Za-z0-9._@-]*\$?$/;
const jumpWord =
  /^([A-Za-z0-9_][A-Za-z0-9._-]*@)?([A-Za-z0-9_][A-Za-z0-9._%-]*|\[[0-9A-Fa-f:.%]+\])(:([0-9]{1,5}))?$/;
const maxHops = 8;
function isJump(text: string): boolean {
  const hops = text.split(',').map((hop) => jumpWord.exec(hop.trim()));
  return hops.length <= maxHops && hops.every((hop) => hop !== null && isPort(hop[4] ?? '22'));
}
const isPort = (text: string) => Number(text) >= 1 && Number(text) <= 65535;
const pinWord =
  /^(SHA256:[A-Za-z0-9+/]{43}=?|(ssh|ecdsa|sk-ssh|sk-ecdsa)-[a-z0-9@.-]+ [A-Za-z0-9+/]{20,}={0,3}( [^\n]*)?)$/;

/** A key's data begins with its type, so that one that lost characters in copying is seen here. */
function isPin(text: string): boolean {
  if (!pinWord.test(text)) return false;
  if (text.startsWith('SHA256:')) return true;
  const [type, data] = text.split(' ') as [string, string];
  const blob = Buffer.from(data, 'base64');
  return (
    blob.length >= 4 + type.length + 4 &&
    blob.readUInt32BE(0) === type.length &&
    blob.toString('latin1', 4, 4 + type.length) === type
  );
}

/** Variables of a host or a group. Seven words say how the host is reached; all others are the operator's own. */
export const varsSchema = z.looseObject({
  address: z
    .string()
    .max(255)
    .refine(isAddress, { message: 'must be a host name or an IP address; its port goes to port' })
    .optional()
    .describe('Name or IP address to connect to; `local` is this machine, without ssh.'),
  port: z.int().min(1).max(65535).optional().describe('Port of sshd.'),
  user: z.string().max(64).regex(userWord, 'must be a login name').optional().describe('Login name.'),
  identity_file: z
    .string()
    .min(1)
    .max(4096)
    .refine((path) => !/\{[{%]/.test(path), { message: 'must be a path' })
    .optional()
    .describe('Private key; `~` is your home, a relative path is relative to the inventory file.'),
  jump: z
    .string()
    .refine(isJump, {
      message: `must be user@host:port or names of hosts, at most ${maxHops}, separated by commas`,
    })
    .optional()
    .describe(
      'Jump hosts, first hop first: `user@host:port` or names of hosts of this inventory, comma-separated.',
    ),
  become: z
    .boolean()
    .optional()
    .describe(
      'Work as root through sudo, where a play or task does not say; without effect where the user is root.',
    ),
  host_keys: z
    .array(
      z.string().refine(isPin, {
        message: 'must be a public key such as "ssh-ed25519 AAAA…" or a "SHA256:…" fingerprint',
      }),
    )
    .min(1)
    .optional()
    .describe('Pinned host keys, `ssh-ed25519 AAAA…` or `SHA256:…`: the host may show no other.'),
});

export type Vars = z.output<typeof varsSchema>;

const hosts = z
  .record(z.string(), varsSchema.nullable())
  .nullable()
  .describe(
    'Host names, each with its variables or nothing. hv[01:40], [a:f] and [0:10:2] stand for ranges.',
  );

export interface GroupNode {
  hosts?: Record<string, Vars | null> | null | undefined;
  vars?: Vars | null | undefined;
  children?: Record<string, GroupNode | null> | null | undefined;
}

export const groupSchema: z.ZodType<GroupNode> = z
  .strictObject({
    hosts: hosts.optional(),
    vars: varsSchema.nullable().optional().describe('Variables of every host in this group and below it.'),
    get children() {
      return z
        .record(z.string(), groupSchema.nullable())
        .nullable()
        .optional()
        .describe('Groups below this one; the same group may stand in several places.');
    },
  })
  .meta({ id: 'group' });

export const inventorySchema = z
  .strictObject({ all: groupSchema.describe('The group that holds every host.') })
  .describe('Hosts and groups of a fleet.');

/** The words that say how a host is reached, and what holds without each. */
export const connectionDefaults = {
  address: "the host's name",
  port: 'that of ~/.ssh/config, else 22',
  user: 'that of ~/.ssh/config, else yours',
  identity_file: 'those of ~/.ssh/config, your agent and ~/.ssh',
  jump: 'ProxyJump of ~/.ssh/config, else none',
  become: '`true`',
  host_keys: 'known_hosts decides',
} as const;

export const connectionWords = Object.keys(connectionDefaults) as (keyof typeof connectionDefaults)[];
