import type { Path, YamlFile } from '../config/yaml.ts';
import type { ErrorCode } from '../lib/errors.ts';

/** Where a text stands: a value of a YAML file, or a template file that has lines of its own. */
export type Origin =
  | { yaml: YamlFile; path: Path }
  | { template: string; lineOf(offset: number): { line: number; col: number; excerpt: string } };

/** What is wrong with a template, a condition or a variable; thrown while compiling or evaluating, never shown raw. */
export class Problem extends Error {
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  /** in the text that it concerns */
  readonly offset: number;
  /** set by the innermost text that knows where it stands */
  origin: Origin | undefined;

  constructor(
    code: ErrorCode,
    message: string,
    options: { hint?: string | undefined; offset?: number } = {},
  ) {
    super(message);
    this.name = 'Problem';
    this.code = code;
    this.hint = options.hint;
    this.offset = options.offset ?? 0;
  }

  placed(origin: Origin): this {
    this.origin ??= origin;
    return this;
  }

  /** The same problem, to be thrown and placed once more. */
  copy(): Problem {
    const copy = new Problem(this.code, this.message, { hint: this.hint, offset: this.offset });
    copy.origin = this.origin;
    return copy;
  }
}

/** Thrown when a check without an inventory meets a variable that only an inventory could give. */
export class UnknownYet extends Error {}
