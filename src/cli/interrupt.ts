import { setMaxListeners } from 'node:events';
import { EXIT } from './exit-code.ts';

/** What SIGINT and SIGTERM do to a command that is at work on hosts. */
export interface Interrupt {
  /** aborted by the first of them, which is its reason */
  signal: AbortSignal;
  /** as if it had come: a question that Ctrl-C was answered to */
  raise(signal: NodeJS.Signals): void;
  /** how the command ends once one has come; null: none has */
  exitCode(): number | null;
  /** puts back what they did before */
  end(): void;
}

/**
 * The first signal asks the work to end; the second one does not wait for anything, and ends the process.
 * @param onFirst told of the first
 */
export function interruptOnSignals(onFirst: () => void = () => {}): Interrupt {
  const controller = new AbortController();
  // Every host listens while something runs there.
  setMaxListeners(0, controller.signal);
  let code: number | null = null;
  const raise = (signal: NodeJS.Signals) => {
    if (code !== null) process.exit(signal === 'SIGTERM' ? EXIT.terminated : EXIT.interrupted);
    code = signal === 'SIGTERM' ? EXIT.terminated : EXIT.interrupted;
    onFirst();
    controller.abort(signal);
  };
  process.on('SIGINT', raise).on('SIGTERM', raise);
  return {
    signal: controller.signal,
    raise,
    exitCode: () => code,
    end: () => process.off('SIGINT', raise).off('SIGTERM', raise),
  };
}
