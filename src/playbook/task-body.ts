import { createHash } from 'node:crypto';
import type { Path, YamlFile } from '../config/yaml.ts';
import { schemaFindings } from '../config/zod-issues.ts';
import { type Diagnostic, FleetError } from '../lib/errors.ts';
import type { Asset, Input, ResourceKind } from '../resources/kind.ts';
import type { AssetStore } from './assets.ts';
import { type Compiled, compileValue } from './compiled.ts';
import { Problem } from './problem.ts';
import { isTemplate, type Lookup } from './template.ts';
import { withTextValues } from './text-values.ts';

/** What stands below a kind's key: compiled once, evaluated for each host, equal results shared. */
export class TaskBody {
  readonly kind: ResourceKind;
  readonly #written: unknown;
  readonly #file: YamlFile;
  readonly #path: Path;
  readonly #compiled: Compiled;
  readonly #parsed = new Map<string, { desired: unknown } | { findings: Diagnostic[] }>();
  readonly #inputs = new Map<unknown, Map<string, Input<unknown>>>();

  /** @param report gets what is wrong whatever the variables are */
  constructor(
    kind: ResourceKind,
    value: unknown,
    file: YamlFile,
    path: Path,
    report: (finding: Diagnostic | Problem) => void,
  ) {
    this.kind = kind;
    this.#written = value;
    this.#file = file;
    this.#path = path;
    this.#compiled = compileValue(value, file, path, report);
    for (const finding of this.#certainFindings(value)) report(finding);
  }

  /**
   * The declaration for one host, with its files.
   * @throws Problem, UnknownYet, and FleetError with every finding of the kind's schema
   */
  input(variables: Lookup, assets: AssetStore): Input<unknown> {
    const desired = this.#parse(this.#compiled.evaluate(variables));
    const loaded: Record<string, Asset> = {};
    for (const request of this.kind.assets?.(desired) ?? []) {
      try {
        loaded[request.key] = assets.load(request, variables);
      } catch (error) {
        throw error instanceof Problem
          ? error.placed({ yaml: this.#file, path: this.#keyPath(request.key) })
          : error;
      }
    }
    return this.#shared(desired, loaded);
  }

  #parse(value: unknown): unknown {
    const key = digest(JSON.stringify(value));
    let result = this.#parsed.get(key);
    if (result === undefined) {
      let parsed = this.kind.schema.safeParse(value);
      if (!parsed.success && !this.#compiled.literal) {
        const text = withTextValues(parsed.error.issues, value, this.#written);
        if (text !== undefined) parsed = this.kind.schema.safeParse(text);
      }
      result = parsed.success
        ? { desired: parsed.data }
        : { findings: schemaFindings(parsed.error.issues, this.#file, this.#path, this.kind.schema, value) };
      this.#parsed.set(key, result);
    }
    if ('findings' in result) throw new FleetError(result.findings);
    return result.desired;
  }

  #shared(desired: unknown, assets: Readonly<Record<string, Asset>>): Input<unknown> {
    const key = Object.values(assets)
      .map((asset) => asset.sha256)
      .join(' ');
    let variants = this.#inputs.get(desired);
    if (variants === undefined) {
      variants = new Map();
      this.#inputs.set(desired, variants);
    }
    let input = variants.get(key);
    if (input === undefined) {
      input = { desired, assets };
      this.#check(input);
      variants.set(key, input);
    }
    return input;
  }

  #check(input: Input<unknown>): void {
    const found = this.kind.check?.(input) ?? [];
    if (found.length === 0) return;
    throw new FleetError(
      found.map(({ key, message, hint }) =>
        this.#file.finding('E_SCHEMA', this.#file.positionOf(this.#keyPath(key)), message, hint),
      ),
    );
  }

  /** What is wrong before any variable is known: issues about places where no template stands. */
  #certainFindings(value: unknown): Diagnostic[] {
    const parsed = this.kind.schema.safeParse(value);
    if (parsed.success) return [];
    const certain = parsed.error.issues.filter(
      (issue) => issue.code === 'unrecognized_keys' || !holdsTemplate(valueAt(value, issue.path)),
    );
    return schemaFindings(certain, this.#file, this.#path, this.kind.schema, value);
  }

  /** `source.1` is the second of a list. */
  #keyPath(key: string): Path {
    return [...this.#path, ...key.split('.').map((step) => (/^\d+$/.test(step) ? Number(step) : step))];
  }
}

function digest(text: string): string {
  return text.length <= 1024 ? text : createHash('sha256').update(text).digest('hex');
}

function holdsTemplate(value: unknown): boolean {
  if (typeof value === 'string') return isTemplate(value);
  return value !== null && typeof value === 'object' && Object.values(value).some(holdsTemplate);
}

function valueAt(root: unknown, path: readonly PropertyKey[]): unknown {
  let value = root;
  for (const step of path) {
    if (value === null || typeof value !== 'object' || !Object.hasOwn(value, step)) return undefined;
    value = (value as Record<PropertyKey, unknown>)[step];
  }
  return value;
}
