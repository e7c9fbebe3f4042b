// Runs the live display over a synthetic fleet; a test bundles it and runs it inside a real pty. Arguments: hosts, tasks a
// host, how it ends (stop | throw). What it cost goes as JSON to the file named last.
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { createProgress } from '../../../src/ui/progress.ts';
import { host, run, task } from './reports.ts';

const [hostCount = 500, taskCount = 8] = process.argv.slice(2, 4).map(Number);
const ending = process.argv[4] ?? 'stop';
const output = process.argv[5];
const wide = 100;

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGWINCH'] as const;
const listeners = () => signals.map((name) => process.listenerCount(name)).reduce((a, b) => a + b, 0);

// Node adds a SIGWINCH listener for each terminal stream as soon as it is touched; listr2 touches stdout.
const { stderr, stdout } = process;
const before = {
  signals: listeners(),
  exit: process.listenerCount('exit'),
  resize: stderr.listenerCount('resize') + stdout.listenerCount('resize'),
};
const startUp = process.cpuUsage();
const progress = createProgress({ stream: stderr, mode: 'live' });
const delay = monitorEventLoopDelay({ resolution: 5 });
delay.enable();

const names = Array.from({ length: hostCount }, (_, index) => `hv${String(index + 1).padStart(3, '0')}`);
const { sink } = progress;
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

async function runHost(name: string, index: number): Promise<void> {
  sink({ type: 'host-phase', at: Date.now(), host: name, phase: 'connect' });
  await sleep(20);
  for (let step = 0; step < taskCount; step += 1) {
    const report = task({ task: `step ${step}`, status: 'changed' });
    sink({
      type: 'task-started',
      at: Date.now(),
      host: name,
      play: report.play,
      task: report.task,
      kind: report.kind,
    });
    for (let line = 0; line < 4; line += 1) {
      await sleep(10 + ((index * 7 + step * 13) % 40));
      sink({
        type: 'task-line',
        at: Date.now(),
        host: name,
        task: report.task,
        line: `  CC [M]  object-${line}.o\x1b[2J`,
      });
    }
    sink({ type: 'task-finished', at: Date.now(), host: name, report });
  }
  const bad = index % 50 === 7;
  const report = bad
    ? host(name, { status: 'failed', error: { code: 'E_STEP', message: 'dkms ended with 10' } })
    : host(name, { status: 'changed', changes: taskCount });
  sink({ type: 'host-finished', at: Date.now(), host: name, report });
}

const started = Date.now();
sink({
  type: 'run-started',
  at: started,
  runId: 'r1',
  command: 'apply',
  playbook: 'site.yaml',
  hosts: names,
});
let next = 0;
const worker = async () => {
  while (next < names.length) {
    const index = next++;
    if (ending === 'throw' && index === wide) {
      setImmediate(() => {
        throw new Error('a bug in the middle of a run');
      });
    }
    await runHost(names[index]!, index);
  }
};
await Promise.all(Array.from({ length: wide }, worker));
sink({ type: 'run-finished', at: Date.now(), report: run([]) });
await progress.stop();

const cpu = process.cpuUsage();
const after = {
  signals: listeners(),
  exit: process.listenerCount('exit'),
  resize: stderr.listenerCount('resize') + stdout.listenerCount('resize'),
};
const seconds = (usage: NodeJS.CpuUsage) => (usage.user + usage.system) / 1e6;
const result = {
  wallSeconds: (Date.now() - started) / 1000,
  cpuSeconds: seconds(cpu),
  ownCpuSeconds: seconds(cpu) - seconds(startUp),
  delayP50Ms: delay.percentile(50) / 1e6 - 5,
  delayMaxMs: delay.max / 1e6 - 5,
  rssMb: process.resourceUsage().maxRSS / 1024,
  before,
  after,
};
if (output) {
  const { writeFileSync } = await import('node:fs');
  writeFileSync(output, JSON.stringify(result));
}
