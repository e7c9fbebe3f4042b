import { createHash } from 'node:crypto';
import type { z } from 'zod';
import type { Path, YamlFile } from '../config/yaml.ts';
import { schemaFindings } from '../config/zod-issues.ts';
import { type Diagnostic, FleetError } from '../lib/errors.ts';
import type { Asset, Claim, Input, ResourceKind } from '../resources/kind.ts';
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
  readonly #claims = new WeakMap<Input<unknown>, readonly Claim[]>();
  readonly #warn: (finding: Diagnostic) => void;

  /**
   * @param report gets what is wrong whatever the variables are
   * @param warn gets what is allowed and most likely not meant, also while inputs are made
   */
  constructor(
    kind: ResourceKind,
    value: unknown,
    file: YamlFile,
    path: Path,
    report: (finding: Diagnostic | Problem) => void,
    warn: (finding: Diagnostic) => void,
  ) {
    this.kind = kind;
    this.#warn = warn;
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

  /** What an input that input() gave says of which things; computed once. */
  claims(input: Input<unknown>): readonly Claim[] {
    let claims = this.#claims.get(input);
    if (claims === undefined) {
      claims = this.kind.claims?.(input) ?? [];
      this.#claims.set(input, claims);
    }
    return claims;
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
        : { findings: this.#findings(parsed.error.issues, value) };
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
    const wrong: Diagnostic[] = [];
    for (const { key, message, hint, warning } of this.kind.check?.(input) ?? []) {
      const at = this.#file.positionOf(this.#keyPath(key));
      const finding = this.#file.finding('E_SCHEMA', at, message, hint);
      if (warning) this.#warn(finding);
      else wrong.push(finding);
    }
    if (wrong.length > 0) throw new FleetError(wrong);
  }

  /** What is wrong before any variable is known: issues about places where no template stands. */
  #certainFindings(value: unknown): Diagnostic[] {
    const parsed = this.kind.schema.safeParse(value);
    if (parsed.success) return [];
    const certain = parsed.error.issues.filter(
      (issue) => issue.code === 'unrecognized_keys' || !holdsTemplate(valueAt(value, issue.path)),
    );
    return this.#findings(certain, value);
  }

  #findings(issues: readonly z.core.$ZodIssue[], value: unknown): Diagnostic[] {
    return schemaFindings(issues, this.#file, this.#path, this.kind.schema, value, this.kind.habits);
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
