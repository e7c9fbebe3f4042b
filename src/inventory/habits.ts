import type { Habits } from '../lib/habits.ts';
import { connectionWords } from './schema.ts';

/** Our words for Ansible's variables of the connection. */
export const ansibleWords: Readonly<Record<string, string>> = {
  ansible_host: 'address',
  ansible_ssh_host: 'address',
  ansible_port: 'port',
  ansible_ssh_port: 'port',
  ansible_user: 'user',
  ansible_ssh_user: 'user',
  ansible_ssh_private_key_file: 'identity_file',
  ansible_private_key_file: 'identity_file',
  ansible_become: 'become',
  ansible_ssh_common_args: 'jump',
  ansible_ssh_extra_args: 'jump',
};

const passwords = 'logins are by key or agent; -K asks for the password that sudo wants';

/** What to do instead of those for which there is no word. */
export const ansibleOthers: Readonly<Record<string, string>> = {
  ansible_connection: 'address: local is this machine; all other hosts are reached by ssh',
  ansible_password: passwords,
  ansible_ssh_pass: passwords,
  ansible_become_password: passwords,
  ansible_become_pass: passwords,
  ansible_become_user: 'tasks run as root or as the login user',
  ansible_become_method: 'sudo is the only way to become root',
  ansible_python_interpreter: 'leave it out: hosts need nothing but sh',
  ansible_shell_type: 'leave it out: scripts are for POSIX sh',
  ansible_host_key_checking: 'host keys are checked; --host-keys accept-new is for first contact',
  ansible_ssh_host_key_checking: 'host keys are checked; --host-keys accept-new is for first contact',
};

/** Names that say nothing of the connection here, and the word that most likely was meant. */
export const connectionSynonyms: Readonly<Record<string, (typeof connectionWords)[number]>> = {
  ip: 'address',
  ip_address: 'address',
  ipaddress: 'address',
  ipv4: 'address',
  ipv6: 'address',
  addr: 'address',
  host: 'address',
  hostname: 'address',
  host_name: 'address',
  fqdn: 'address',
  ssh_host: 'address',
  ssh_port: 'port',
  sshport: 'port',
  prot: 'port',
  username: 'user',
  user_name: 'user',
  usr: 'user',
  login: 'user',
  ssh_user: 'user',
  remote_user: 'user',
  ssh_key: 'identity_file',
  ssh_key_file: 'identity_file',
  key_file: 'identity_file',
  keyfile: 'identity_file',
  identityfile: 'identity_file',
  identity: 'identity_file',
  private_key: 'identity_file',
  private_key_file: 'identity_file',
  ssh_private_key_file: 'identity_file',
  proxy_jump: 'jump',
  proxyjump: 'jump',
  jump_host: 'jump',
  jumphost: 'jump',
  bastion: 'jump',
  bastion_host: 'jump',
  sudo: 'become',
  hostkey: 'host_keys',
  hostkeys: 'host_keys',
  fingerprint: 'host_keys',
};

export const iniHint =
  'inventories are YAML: below all: a map of hosts, and of children, the groups; inventory.example.yaml shows each word';

const holdsGroupWords = (value: unknown) =>
  value !== null && typeof value === 'object' && ['hosts', 'children', 'vars'].some((key) => key in value);

const noTemplate = (value: unknown) =>
  typeof value === 'string' && /\{[{%]/.test(value)
    ? 'connection words take no templates: write the value, in a group where hosts share it'
    : undefined;

/** What people write in an inventory that its schema refuses. */
export const inventoryHabits: Habits = {
  ...Object.fromEntries(connectionWords.map((word) => [word, noTemplate])),
  '': (value) => {
    if (!Array.isArray(value)) return typeof value === 'string' ? iniHint : undefined;
    return value.some(
      (play) => play !== null && typeof play === 'object' && ('hosts' in play || 'tasks' in play),
    )
      ? 'this is a playbook: give it without -i, and an inventory in its place'
      : iniHint;
  },
  '.*': (value) =>
    value === null || holdsGroupWords(value) ? 'groups stand below all: in its children' : undefined,
  hosts: (value) =>
    Array.isArray(value)
      ? `write a map, a line each: ${value
          .slice(0, 3)
          .map((name) => `\`${name}:\``)
          .join(' ')}`
      : asMap(value),
  children: (value) =>
    Array.isArray(value)
      ? `write a map, a line each: ${value
          .slice(0, 3)
          .map((name) => `\`${name}:\``)
          .join(' ')}`
      : asMap(value),
  vars: (value) => (Array.isArray(value) ? 'write a map, without dashes: `name: value`' : undefined),
  'hosts.*': (value) => (typeof value === 'string' ? `write { address: ${value} }` : undefined),
  'children.*': (value) =>
    Array.isArray(value) || typeof value === 'string'
      ? `write { hosts: { ${[value].flat().slice(0, 3).join(': , ')}: } }`
      : undefined,
  group_vars: 'write vars into the group',
  host_vars: "write the variables below the host's name",
};

function asMap(value: unknown): string | undefined {
  return typeof value === 'string' ? `write a map: { ${value}: }` : undefined;
}
