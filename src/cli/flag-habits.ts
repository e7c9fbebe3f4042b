/** Flags of ansible-playbook's that are not ours, and what says the same here. */
const flags: Readonly<Record<string, string>> = {
  '-e': 'variables stand in the inventory, or in vars: of a play or task',
  '--extra-vars': 'variables stand in the inventory, or in vars: of a play or task',
  '-u': 'the login name is a variable of the inventory: user',
  '--user': 'the login name is a variable of the inventory: user',
  '-C': '`plan` changes nothing; so does `apply --check`',
  '--check': '`plan` changes nothing; so does `apply --check`',
  '-D': 'a plan shows what differs, line by line',
  '--diff': 'a plan shows what differs, line by line',
  '-b': 'tasks run as root unless become: false is said',
  '--become': 'tasks run as root unless become: false is said',
  '--become-user': 'tasks run as root or as the login user',
  '--become-method': 'sudo is the only way to become root',
  '--become-pass-file': 'write --become-password-file',
  '-k': 'logins are by key or agent; -K asks for the password that sudo wants',
  '--ask-pass': 'logins are by key or agent; -K asks for the password that sudo wants',
  '-f': 'serial: in the play says how many hosts go at once; 32 connects are in flight',
  '--forks': 'serial: in the play says how many hosts go at once; 32 connects are in flight',
  '-c': 'address: local in the inventory is this machine; all other hosts are reached by ssh',
  '--connection': 'address: local in the inventory is this machine; all other hosts are reached by ssh',
  '-T': 'ConnectTimeout in the ssh configuration; command has timeout',
  '--timeout': 'ConnectTimeout in the ssh configuration; command has timeout',
  '--private-key': 'identity_file in the inventory, or IdentityFile in the ssh configuration',
  '--key-file': 'identity_file in the inventory, or IdentityFile in the ssh configuration',
  '--ssh-common-args': 'write it into an ssh configuration: ~/.ssh/config, or --ssh-config FILE',
  '--ssh-extra-args': 'write it into an ssh configuration: ~/.ssh/config, or --ssh-config FILE',
  '--list-hosts': '`blkfleet inventory -i INVENTORY -l PATTERN` lists hosts',
  '--list-tasks': '`blkfleet plan` lists tasks, with -v those in sync too',
  '--list-tags': '-t with a tag that no task has lists those that there are',
  '--syntax-check': '`blkfleet validate PLAYBOOK -i INVENTORY` checks all of it, and contacts nothing',
  '--skip-tags': 'tag the others and choose them by -t; a task tagged `never` needs its tag named',
  '--start-at-task': 'apply it again: what is in sync is not repeated; -t chooses tasks',
  '--step': 'a plan is shown before it is applied; serial: makes small batches',
  '--flush-cache': 'facts are asked for anew each time',
  '--force-handlers': 'a failed task stops its host',
  '-M': 'there are no modules to be loaded',
  '-m': '`blkfleet facts` reaches every host; tasks stand in a playbook',
  '-a': '`blkfleet facts` reaches every host; tasks stand in a playbook',
  '--vault-id': 'there is no vault: name a file with src:, and hide it with diff: false',
  '--ask-vault-pass': 'there is no vault: name a file with src:, and hide it with diff: false',
  '--vault-password-file': 'there is no vault: name a file with src:, and hide it with diff: false',
};

/** Words that people try for a command, and ours. */
const commands: Readonly<Record<string, string>> = {
  run: 'apply',
  playbook: 'apply',
  deploy: 'apply',
  install: 'apply',
  diff: 'plan',
  check: 'validate',
  lint: 'validate',
  test: 'validate',
  ping: 'facts',
  setup: 'facts',
  hosts: 'inventory',
  list: 'inventory',
  graph: 'inventory --graph',
  drift: 'audit',
  status: 'audit',
  up: 'lab up',
  ssh: 'lab ssh',
};

/** What to write instead, for a message of commander's; undefined where it is no habit. */
export function flagHint(message: string): string | undefined {
  const [, what, word] = /unknown (option|command) '([^'=]+)/.exec(message) ?? [];
  if (word === undefined) return undefined;
  if (what === 'command') return Object.hasOwn(commands, word) ? `write ${commands[word]}` : undefined;
  // A short flag may have its value joined to it.
  const flag = word.startsWith('--') ? word : word.slice(0, 2);
  return Object.hasOwn(flags, flag) ? flags[flag] : undefined;
}
