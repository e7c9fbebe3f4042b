import type { LabStatus } from '../../lab/commands.ts';
import { FleetError } from '../../lib/errors.ts';
import { EXIT } from '../exit-code.ts';
import { explain } from '../explain.ts';

export type LabAction = 'up' | 'status' | 'inventory' | 'ssh' | 'reboot' | 'down' | 'destroy';

export interface LabOptions {
  /** Debian kernel line of a new lab: 6.1, 6.12 */
  kernel?: string;
  /** one of several labs */
  name?: string;
  /** tcg or kvm */
  accel?: string;
  /** the lab's status as one JSON document on stdout */
  json?: boolean;
  /** for ssh: a command */
  args?: string[];
}

/**
 * `blkfleet lab …`: drives the lab host.
 * @returns the exit code; for ssh that of the command
 */
export async function labCommand(action: LabAction, options: LabOptions): Promise<number> {
  const lab = await import('../../lab/commands.ts');
  const { textProgress } = await import('../../lab/progress.ts');
  if (action === 'ssh') return lab.labSsh(options.name, options.args ?? []).catch(failure);
  if (action === 'inventory')
    return lab.labInventory(options.name).then((text) => {
      process.stdout.write(text);
      return EXIT.ok;
    }, failure);
  const progress = textProgress(options.json ? process.stderr : process.stdout);
  const interrupt = interruptible();
  try {
    const status = await {
      up: () => lab.labUp(options, progress, interrupt.signal),
      status: () => lab.labStatus(options.name),
      reboot: () => lab.labReboot(options.name, progress, interrupt.signal),
      down: () => lab.labDown(options.name, progress),
      destroy: () => lab.labDestroy(options.name, progress),
    }[action]();
    process.stdout.write(options.json ? `${JSON.stringify(status, null, 2)}\n` : describe(status));
    return EXIT.ok;
  } catch (error) {
    progress.end();
    const code = interrupt.exitCode();
    if (code === null) return failure(error);
    process.stderr.write('interrupted: what was made so far is kept or removed, nothing is half there\n');
    return code;
  } finally {
    interrupt.end();
  }
}

function failure(error: unknown): number {
  const { code, syscall, message } = error as NodeJS.ErrnoException;
  // A full or read-only disk, a folder of another user: the machine's matter, told as such.
  if (syscall !== undefined && code !== undefined)
    return explain(new FleetError({ code: 'E_FILE', message, hint: 'BLKFLEET_CACHE names another folder' }));
  const told = explain(error);
  if (!(error instanceof FleetError)) return told;
  return { E_UNREACHABLE: EXIT.unreachable, E_STEP: EXIT.failed }[error.code as string] ?? told;
}

function describe(status: LabStatus): string {
  const lines = [`lab '${status.name}': ${status.status}`];
  if (status.release) lines.push(`  kernel     ${status.release} (${status.accel})`);
  if (status.port) lines.push(`  sshd       127.0.0.1:${status.port}, QEMU is process ${status.pid}`);
  if (status.inventory) lines.push(`  inventory  ${status.inventory}`);
  return `${lines.join('\n')}\n`;
}

// The first signal asks the work to stop and clean up; the second finds no handler and ends the process.
function interruptible() {
  const controller = new AbortController();
  let code: number | null = null;
  const onSignal = (signal: NodeJS.Signals) => {
    code = signal === 'SIGINT' ? EXIT.interrupted : EXIT.terminated;
    controller.abort(new FleetError({ code: 'E_INTERRUPTED', message: `stopped by ${signal}` }));
  };
  process.once('SIGINT', onSignal).once('SIGTERM', onSignal);
  return {
    signal: controller.signal,
    exitCode: () => code,
    end: () => process.off('SIGINT', onSignal).off('SIGTERM', onSignal),
  };
}
