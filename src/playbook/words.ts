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

/** Hints for words of Ansible's that a task or play here has not. */
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
  vars_files: 'write the variables into the inventory or into vars',
};
