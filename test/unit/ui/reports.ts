import type { HostReport, RunReport, TaskReport } from '../../../src/events/events.ts';

/** Text that a hostile host may answer: title, clipboard, overwrite, reorder, hide, half a character. */
export const hostile =
  '\x1b]0;owned\x07\x1b]52;c;ZXZpbA==\x07\x1b[2J\rfake ok\x9b31m\u202egnp.exe\u200b\u2028\ud800\x7f\0</testcase>&"\']]>';

export function task(over: Partial<TaskReport> = {}): TaskReport {
  return {
    play: 'Hypervisors',
    task: 'limits for the service',
    kind: 'file',
    status: 'ok',
    diff: [],
    error: null,
    ...over,
  };
}

export function host(name: string, over: Partial<HostReport> = {}): HostReport {
  return { name, status: 'ok', changes: 0, tasks: [task()], error: null, ...over };
}

export const fileDrift = task({
  status: 'pending',
  diff: [
    { path: 'mode', from: '0644', to: '0600', action: '~' },
    {
      path: 'content',
      from: 'sha256:aaaa',
      to: 'sha256:bbbb',
      action: '~',
      text: '--- /etc/blkfleet.conf\n+++ /etc/blkfleet.conf\n@@ -10,3 +10,3 @@\n same\n-queues 2\n+queues 4\n tail\n',
    },
  ],
});

export const commandTask = task({
  task: 'warm up',
  kind: 'command',
  status: 'pending',
  unpredictable: true,
  diff: [{ path: 'run', from: null, to: "'/usr/bin/warm' '--all'", action: '+' }],
});

export const heldTask = task({
  task: 'vhost_blk',
  kind: 'kernel_module',
  status: 'pending',
  reason: 'pending-drain: in use by 3',
  diff: [{ path: 'srcversion', from: 'AAA', to: 'BBB', action: '±' }],
});

export const failedTask = task({
  task: 'vhost-blk 1.0',
  kind: 'dkms',
  status: 'failed',
  error: {
    code: 'E_STEP',
    message: 'dkms build ended with 10',
    hint: 'read make.log',
    at: { file: 'site.yaml', line: 9, col: 5 },
  },
  log: Array.from({ length: 30 }, (_, index) => `log line ${index + 1}`),
});

/** Three equal hosts, a held one, a failed one, an unreachable one, and two in sync. */
export function fleet(): HostReport[] {
  const drift = {
    status: 'pending' as const,
    changes: 2,
    tasks: [fileDrift, task({ task: 'quiet' }), commandTask],
  };
  return [
    host('ok01'),
    host('hv01', drift),
    host('hv02', drift),
    host('hv03', drift),
    host('held1', { status: 'pending', changes: 1, tasks: [heldTask] }),
    host('bad01', { status: 'failed', changes: 1, tasks: [failedTask] }),
    host('gone1', {
      status: 'unreachable',
      tasks: [],
      error: { code: 'E_TIMEOUT', message: 'no answer within 10 s', hint: 'is sshd running?' },
    }),
    host('ok02'),
  ];
}

export function run(hosts: HostReport[], command: RunReport['command'] = 'apply'): RunReport {
  const count = (status: HostReport['status']) => hosts.filter((entry) => entry.status === status).length;
  return {
    command,
    run: { id: 'r1', started: '2026-01-02T03:04:05.000Z', finished: '2026-01-02T03:04:07.500Z' },
    hosts,
    summary: {
      hosts: hosts.length,
      ok: count('ok'),
      changed: count('changed'),
      failed: count('failed'),
      unreachable: count('unreachable'),
      pending: count('pending'),
    },
  };
}
