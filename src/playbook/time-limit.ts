import { createContext, Script } from 'node:vm';

let script: Script | undefined;
const context: { work?: () => unknown } = {};

/**
 * Does synchronous work, and stops it when it takes too long: a pattern can backtrack for years on a text that a host
 * chose. Costs a thread, so only for what can take long.
 * @throws RangeError when it was stopped
 */
export function withinTime<T>(milliseconds: number, work: () => T): T {
  if (script === undefined) {
    createContext(context);
    script = new Script('work()');
  }
  context.work = work;
  try {
    return script.runInContext(context, { timeout: milliseconds }) as T;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_SCRIPT_EXECUTION_TIMEOUT') throw error;
    throw new RangeError(`took longer than ${milliseconds} ms`);
  } finally {
    delete context.work;
  }
}
