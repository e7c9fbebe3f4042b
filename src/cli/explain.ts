import { formatDiagnostics } from '../config/diagnostics.ts';
import { FleetError } from '../lib/errors.ts';
import { wantsColour } from '../ui/paint.ts';
import { EXIT } from './exit-code.ts';

/** Most findings that are told at once. */
const maxTold = 200;

/** Tells an error on stderr for the operator and returns the exit code it stands for. */
export function explain(error: unknown): number {
  if (error instanceof FleetError && error.code !== 'E_BUG') {
    const told = error.diagnostics.slice(0, maxTold);
    process.stderr.write(`${formatDiagnostics(told, { color: wantsColour(process.stderr) })}\n`);
    const more = error.diagnostics.length - told.length;
    if (more > 0) process.stderr.write(`… and ${more} more\n`);
    return error.code === 'E_INTERRUPTED' ? EXIT.interrupted : EXIT.usage;
  }
  const message = error instanceof Error ? error.message : String(error);
  process.stderr.write(
    `blkfleet: this is a bug of ours: ${message}\nPlease report it with the command line; BLKFLEET_TRACE=1 shows where.\n`,
  );
  if (process.env.BLKFLEET_TRACE === '1' && error instanceof Error) process.stderr.write(`${error.stack}\n`);
  return EXIT.bug;
}
