import { readdirSync, readFileSync, statSync } from 'node:fs';
import { createConnection, type Socket } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

/** Files that bootKernel() has QEMU make in its folder. */
export const monitorArguments = (folder: string): string[] => [
  ...['-qmp', `unix:${join(folder, 'qmp')},server=on,wait=off`],
  ...['-pidfile', join(folder, 'pid')],
];

/** So that the keys and the NMI of askGuest() have the kernel tell what its CPUs and tasks do. */
export const stallParameters = ['sysrq_always_enabled', 'unknown_nmi_panic'];

const POLL_MS = 5000;
const ANSWER_MS = 10_000;

/**
 * Waits until a guest has written nothing to its serial ports for so long.
 * @param signal ends the waiting
 * @returns whether it came to that
 */
export async function waitForStall(folder: string, stallMs: number, signal: AbortSignal): Promise<boolean> {
  let size = -1;
  for (let quiet = 0; quiet < stallMs; quiet += POLL_MS) {
    await sleep(POLL_MS, undefined, { signal }).catch(() => {});
    if (signal.aborted) return false;
    const now = ['console', 'output'].reduce((sum, name) => sum + sizeOf(join(folder, name)), 0);
    if (now !== size) quiet = 0;
    size = now;
  }
  return true;
}

/**
 * Has a guest that stands still say where: its kernel, by SysRq (backtraces of CPUs, blocked tasks) and then by an NMI that
 * makes it panic, which goes to its console; and QEMU, by registers. A QEMU that does not answer is told by its threads.
 * @returns what QEMU and the machine's kernel said, for who reads the log, and whether the guest's kernel said anything: the
 * NMI can not be masked, so one that brings no byte was not delivered by QEMU
 */
export async function askGuest(folder: string): Promise<{ told: string; answered: boolean }> {
  const threads = threadsOf(folder);
  const before = sizeOf(join(folder, 'console'));
  const answered = () => sizeOf(join(folder, 'console')) > before;
  let qmp: Qmp | undefined;
  try {
    qmp = await Qmp.connect(join(folder, 'qmp'));
    const registers: string[] = [];
    for (let i = 0; i < 3; i++) {
      registers.push(await qmp.human('info registers -a'));
      await sleep(500);
    }
    for (const key of ['l', 'w']) {
      await qmp.human(`sendkey alt-sysrq-${key}`);
      await sleep(3000);
    }
    await qmp.human('nmi');
    await sleep(5000);
    return { told: [threads, ...registers, threadsOf(folder)].join('\n'), answered: answered() };
  } catch (error) {
    return { told: `${threads}\nQEMU's monitor: ${(error as Error).message}`, answered: answered() };
  } finally {
    qmp?.close();
  }
}

/** Just as much of QMP as is asked here: one command at a time. */
class Qmp {
  readonly #socket: Socket;
  readonly #lines: AsyncIterator<string>;

  private constructor(socket: Socket) {
    this.#socket = socket;
    this.#lines = createInterface({ input: socket })[Symbol.asyncIterator]();
  }

  static async connect(path: string): Promise<Qmp> {
    const socket = createConnection(path);
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
    socket.on('error', () => {});
    const qmp = new Qmp(socket);
    await qmp.#execute('qmp_capabilities', {});
    return qmp;
  }

  /** A command of the human monitor; what it prints. */
  async human(line: string): Promise<string> {
    return String(await this.#execute('human-monitor-command', { 'command-line': line }));
  }

  async #execute(execute: string, args: object): Promise<unknown> {
    this.#socket.write(`${JSON.stringify({ execute, arguments: args })}\n`);
    const late = sleep(ANSWER_MS).then(() => {
      throw new Error(`no answer to ${execute} in ${ANSWER_MS / 1000} s`);
    });
    for (;;) {
      const { value, done } = await Promise.race([this.#lines.next(), late]);
      if (done) throw new Error('closed');
      const message = JSON.parse(value) as { return?: unknown; error?: { desc: string } };
      if (message.error) throw new Error(message.error.desc);
      if ('return' in message) return message.return;
    }
  }

  close(): void {
    this.#socket.destroy();
  }
}

/** State, processor time and the kernel function in which it waits, of each thread of QEMU. */
function threadsOf(folder: string): string {
  try {
    const tasks = `/proc/${readFileSync(join(folder, 'pid'), 'utf8').trim()}/task`;
    const lines = readdirSync(tasks).map((task) => {
      const stat = readFileSync(join(tasks, task, 'stat'), 'latin1');
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      const wchan = readFileSync(join(tasks, task, 'wchan'), 'latin1');
      return `thread ${task}: ${fields[0]}, user ${fields[11]} system ${fields[12]} ticks, ${wchan}`;
    });
    return lines.join('\n');
  } catch (error) {
    return `QEMU's threads: ${(error as Error).message}`;
  }
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}
