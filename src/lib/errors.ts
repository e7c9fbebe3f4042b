/** A place in an operator's file. Lines and columns start at 1. */
export interface SourcePosition {
  file: string;
  line: number;
  col: number;
}

/** The closed set of error codes. Tests and callers compare codes; prose may change. */
export type ErrorCode =
  // the request: nothing was contacted (exit 64)
  | 'E_USAGE'
  | 'E_FILE'
  | 'E_YAML'
  | 'E_SCHEMA'
  | 'E_UNKNOWN_KEY'
  | 'E_UNKNOWN_KIND'
  | 'E_UNDEFINED_VARIABLE'
  | 'E_TEMPLATE'
  | 'E_CONDITION'
  | 'E_UNKNOWN_HANDLER'
  | 'E_CONTRADICTION'
  | 'E_PATTERN'
  | 'E_INVENTORY'
  // reaching a host (exit 4)
  | 'E_UNREACHABLE'
  | 'E_TIMEOUT'
  | 'E_HOST_KEY'
  | 'E_AUTH'
  // on a host (exit 3)
  | 'E_SUDO'
  | 'E_SHELL'
  | 'E_PROTOCOL'
  | 'E_LIMIT'
  | 'E_PROBE'
  | 'E_BLOCKED'
  | 'E_STEP'
  | 'E_CHANGED_SINCE_PLAN'
  | 'E_VERIFY'
  | 'E_BUSY'
  | 'E_BUDGET'
  // ours (exit 70) and signals
  | 'E_BUG'
  | 'E_INTERRUPTED';

/** One finding, as data: code and place first, prose last. `excerpt` is the source line itself. */
export interface Diagnostic {
  code: ErrorCode;
  message: string;
  hint?: string | undefined;
  at?: SourcePosition | undefined;
  excerpt?: string | undefined;
  host?: string | undefined;
  task?: string | undefined;
}

/** The one exception class. `diagnostics[0]` is the error itself; a file may yield several at once. */
export class FleetError extends Error {
  readonly diagnostics: readonly Diagnostic[];

  constructor(first: Diagnostic | readonly Diagnostic[], options?: { cause?: unknown }) {
    const list = Array.isArray(first) ? (first as readonly Diagnostic[]) : [first as Diagnostic];
    super(list[0]?.message ?? 'unknown error', options);
    this.name = 'FleetError';
    this.diagnostics = list;
  }

  get code(): ErrorCode {
    return this.diagnostics[0]?.code ?? 'E_BUG';
  }

  get hint(): string | undefined {
    return this.diagnostics[0]?.hint;
  }
}
