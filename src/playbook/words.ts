import type { Habits } from '../lib/habits.ts';

/** What users of Ansible write out of habit, and our word for it. */
export const ansibleModules: Readonly<Record<string, string>> = {
  apt: 'package',
  dnf: 'package',
  yum: 'package',
  zypper: 'package',
  copy: 'file',
  template: 'file',
  modprobe: 'kernel_module',
  kernel_blacklist: 'kernel_module',
  shell: 'command',
  raw: 'command',
  script: 'command',
};

/** Facts of Ansible's, without `ansible_`, by ours. */
const ansibleFacts: Readonly<Record<string, string>> = {
  os_family: 'facts.os.id or facts.os.idLike',
  distribution: 'facts.os.id',
  distribution_version: 'facts.os.versionId',
  distribution_major_version: 'facts.os.versionId',
  distribution_release: 'facts.os.codename',
  lsb: 'facts.os',
  kernel: 'facts.kernel.release',
  kernel_version: 'facts.kernel.version',
  architecture: 'facts.kernel.arch',
  machine: 'facts.kernel.arch',
  hostname: 'facts.hostname',
  nodename: 'facts.hostname',
  fqdn: 'facts.hostname',
  processor_vcpus: 'facts.cpus',
  processor_nproc: 'facts.cpus',
  processor_cores: 'facts.cpus',
  memtotal_mb: 'facts.memoryKiB',
  memory_mb: 'facts.memoryKiB',
  memory: 'facts.memoryKiB',
  pkg_mgr: 'facts.packages.manager',
  service_mgr: 'facts.systemd',
  user_uid: 'facts.uid',
  user_id: 'facts.uid',
  facts: 'facts',
};

/** Our word for a fact of Ansible's, by `ansible_NAME` or NAME; undefined where there is none. */
export function ansibleFactHint(name: string): string | undefined {
  const plain = name.replace(/^ansible_/, '');
  return Object.hasOwn(ansibleFacts, plain) ? ansibleFacts[plain] : undefined;
}

/** Words of Ansible's that a task or play here has not, and what to write instead. */
export const ansibleWords: Readonly<Record<string, string>> = {
  with_items: 'write loop: with a list',
  with_list: 'write loop: with a list',
  with_dict: 'write loop: with a list of maps',
  become_user: 'tasks run as root (become: true) or as the login user',
  become_method: 'sudo is the only way to become root',
  remote_user: 'the login name is a variable of the inventory: user',
  gather_facts: 'facts are always asked for, in the same script as everything else',
  register: 'a later task sees the state of the host itself; conditions may use facts',
  changed_when: 'each kind knows by itself what changes',
  failed_when: 'each kind knows by itself what fails',
  ignore_errors: 'a failed task stops its host; max_fail_percentage says when to stop the others',
  delegate_to: 'write a play of its own with those hosts',
  block: 'write the tasks one after another; each may have its own when:',
  roles: 'write the tasks into the play',
  pre_tasks: 'write them first in tasks',
  post_tasks: 'write them last in tasks, or as handlers',
  any_errors_fatal: 'write max_fail_percentage: 0',
  strategy: 'serial says how many hosts go at once',
  listen: 'notify names the handler itself',
  vars_prompt: 'write the variables into the inventory or into vars',
  environment: 'command has environment below its own key',
  no_log: 'file has diff: false for what must not be shown',
  check_mode: 'blkfleet plan changes nothing',
  until: 'command has unless, which is tried before it and after it',
  retries: 'a plan that is applied again does what is left',
  delay: 'a plan that is applied again does what is left',
  async: 'the steps of a host run detached by themselves; command has timeout',
  poll: 'the steps of a host run detached by themselves; command has timeout',
  run_once: 'write a play of its own with one host',
  args: "write its words below the kind's key",
  become_flags: 'sudo is the only way to become root',
  connection: 'address: local in the inventory is this machine; all others are reached by ssh',
  import_playbook: 'plays of several files: name the files one after another in runs of their own',
  include_tasks: 'write the tasks into the play',
  import_tasks: 'write the tasks into the play',
  vars_files: 'write the variables into the inventory or into vars',
};

/** Modules of Ansible's that no kind stands for, and what to do instead. */
export const missingModules: Readonly<Record<string, string>> = {
  service: 'write command: { argv: [systemctl, enable, --now, NAME], unless: [systemctl, is-active, NAME] }',
  systemd: 'write command: { argv: [systemctl, enable, --now, NAME], unless: [systemctl, is-active, NAME] }',
  lineinfile: 'write file with the whole content, or a file of its own in a conf.d folder',
  blockinfile: 'write file with the whole content, or a file of its own in a conf.d folder',
  replace: 'write file with the whole content, or a file of its own in a conf.d folder',
  sysctl: 'write file: { path: /etc/sysctl.d/NAME.conf, content: … }, and a command that loads it',
  user: 'write command: { argv: [useradd, …], unless: [id, NAME] }',
  group: 'write command: { argv: [groupadd, …], unless: [getent, group, NAME] }',
  reboot: 'hosts are not rebooted; a module in use is reported and left alone',
  debug: 'blkfleet facts shows what hosts answer, inventory --json their variables',
  set_fact: 'write vars: into the play or the task',
  assert: 'kernel gates hosts; for others write command: { argv: …, unless: … }',
  fail: 'kernel gates hosts; when: leaves tasks out',
  setup: 'facts are always asked for',
  ping: 'blkfleet facts says which hosts can be reached',
  get_url: 'fetch it yourself, check it, and send it with file: { src: … }',
  unarchive: 'write command: { argv: [tar, …], creates: … }',
  git: 'write command: { argv: [git, clone, …], creates: … }',
  include_role: 'write the tasks into the play',
  import_role: 'write the tasks into the play',
};

/** What stands at the place of a list of plays, and is none: a play without its dash, an inventory. */
export function noPlaybook(value: unknown): string | undefined {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return undefined;
  const keys = Object.keys(value);
  if (
    ['tasks', 'handlers', 'roles', 'become', 'serial'].some((key) => keys.includes(key)) ||
    typeof (value as { hosts?: unknown }).hosts === 'string'
  )
    return 'a playbook is a list of plays: write "- " before its first key, and two blanks before the others';
  const groups = Object.values(value).filter(
    (one) =>
      one !== null && typeof one === 'object' && ['hosts', 'children', 'vars'].some((key) => key in one),
  );
  return groups.length > 0
    ? 'this is an inventory: give it with -i, and a playbook in its place'
    : 'a playbook is a list of plays, such as `- hosts: all`';
}

/** What people write for the values of a play. */
export const playHabits: Habits = {
  ...ansibleWords,
  max_fail_percentage: (value) => {
    const [, number] = /^(\d{1,3})\s*%$/.exec(String(value)) ?? [];
    return number === undefined ? undefined : `write the number: ${number}`;
  },
  serial: (value) => (/^\d+$/.test(String(value)) ? `write it without quotes: ${value}` : undefined),
  forks: 'serial says how many hosts go at once; 32 connects are in flight',
  tags: 'tags belong to tasks',
  when: 'conditions belong to tasks; hosts says where the play works',
  notify: 'notify belongs to tasks',
  user: 'the login name is a variable of the inventory: user',
};
