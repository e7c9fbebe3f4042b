import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { factsScript, parseFacts } from '../../src/facts/probe.ts';
import { shellQuote } from '../../src/lib/shell.ts';
import type { BootDisk } from './boot-disk.ts';
import type { Outcome, RunOptions, StepHost } from './run-steps.ts';

const BOOT_MS = 120_000;

/** A host with a kernel of its own. Its disk outlives it, as a real one does when the kernel crashes. */
export interface VmHost extends StepHost {
  /** starts the machine, again after it went down; true once it answers */
  boot(): Promise<void>;
  /** pulls the plug */
  cut(): Promise<void>;
  /** true when it has gone down by itself within the time */
  down(timeoutMs: number): Promise<boolean>;
  console(): string;
  remove(): Promise<void>;
}

/** Boots a copy of the disk under QEMU (TCG); commands go over its second serial port. */
export function vmHost(trial: BootDisk): VmHost {
  const base = mkdtempSync(join(tmpdir(), 'blkfleet-vm-'));
  const disk = join(base, 'disk');
  const console = join(base, 'console');
  copyFileSync(trial.disk, disk);
  let qemu: ChildProcess | undefined;
  let lines: AsyncGenerator<string> | undefined;

  const nextLine = async (timeoutMs: number): Promise<string> => {
    const line = await Promise.race([
      lines!.next().then(({ value, done }) => (done ? undefined : value)),
      new Promise<undefined>((resolve) => setTimeout(resolve, timeoutMs, undefined).unref()),
    ]);
    if (line !== undefined) return line;
    throw new Error(`the guest gave no answer:\n${readFileSync(console, 'latin1').slice(-3000)}`);
  };
  const cut = async () => {
    if (!qemu || qemu.exitCode !== null || qemu.signalCode !== null) return;
    const ended = once(qemu, 'exit');
    qemu.kill('SIGKILL');
    await ended;
  };
  const host: VmHost = {
    boot: async () => {
      await cut();
      qemu = spawn('setpriv', ['--pdeathsig', 'KILL', '--', ...argv(trial, disk, console)], {
        stdio: ['pipe', 'pipe', 'inherit'],
      });
      qemu.stdin!.on('error', () => {});
      lines = answersOf(qemu);
      for (;;) if ((await nextLine(BOOT_MS)).endsWith('@@ready')) return;
    },
    run: async (script, { env = {}, deadline = 120 }: RunOptions = {}): Promise<Outcome> => {
      const exports = Object.entries(env).map(([key, value]) => `export ${key}=${shellQuote(value)}\n`);
      const text = `${exports.join('')}${env.BF_PAYLOAD ? 'set -eu\n' : ''}${script}`;
      qemu!.stdin!.write(`${Buffer.from(text).toString('base64')}\n`);
      const match = /@@end (\d+) (\S*) \. (\S*)$/.exec(await nextLine(deadline * 1000));
      if (!match) throw new Error('the guest gave an answer that makes no sense');
      const [stdout, stderr] = [Buffer.from(match[2]!, 'base64'), Buffer.from(match[3]!, 'base64')];
      const complaints = stderr.toString();
      return { rc: Number(match[1]), stdout, complaints, text: stdout.toString() + complaints };
    },
    put: async (sha256, bytes) => {
      const data = bytes.toString('base64');
      await host.run(`mkdir -p /run/bf && printf %s ${data} | base64 -d > /run/bf/${sha256}`);
    },
    facts: async () => parseFacts((await host.run(factsScript)).stdout),
    cut,
    down: async (timeoutMs) => {
      if (qemu!.exitCode !== null) return true;
      const ended = once(qemu!, 'exit').then(() => true);
      return Promise.race([
        ended,
        new Promise<boolean>((resolve) => setTimeout(resolve, timeoutMs, false).unref()),
      ]);
    },
    console: () => readFileSync(console, 'latin1'),
    remove: async () => {
      await cut();
      rmSync(base, { recursive: true, force: true });
    },
  };
  return host;
}

/** panic=-1 with -no-reboot: a kernel that panics ends QEMU. */
function argv({ vmlinuz, initrd }: BootDisk, disk: string, console: string): string[] {
  return [
    'qemu-system-x86_64',
    ...['-accel', 'tcg,thread=multi', '-cpu', 'max', '-smp', '2', '-m', '384'],
    ...['-nodefaults', '-nographic', '-no-reboot', '-kernel', vmlinuz, '-initrd', initrd],
    ...['-append', 'console=ttyS0 panic=-1 no_timer_check mitigations=off'],
    ...['-drive', `file=${disk},format=raw,if=virtio`],
    ...['-serial', `file:${console}`, '-serial', 'stdio', '-monitor', 'none'],
  ];
}

async function* answersOf(qemu: ChildProcess): AsyncGenerator<string> {
  let rest = '';
  for await (const chunk of qemu.stdout!) {
    rest += (chunk as Buffer).toString('latin1');
    for (let at = rest.indexOf('\n'); at >= 0; at = rest.indexOf('\n')) {
      yield rest.slice(0, at).replace(/\r$/, '');
      rest = rest.slice(at + 1);
    }
  }
}
