import { didYouMean } from '../lib/nearest.ts';
import type { Compiled } from './compiled.ts';
import { Problem, UnknownYet } from './problem.ts';
import type { Lookup } from './template.ts';

/** Variables that one place defines: a group, a host, a play, a task, a loop item. */
export type Layer = ReadonlyMap<string, Compiled>;

/**
 * The variables of one task on one host. The last layer wins: groups and host (merged by the inventory), play, task, loop
 * item — Ansible's order. Values are rendered when they are first asked for, with all layers in sight, and then kept.
 */
export class Scope implements Lookup {
  readonly #layers: readonly Layer[];
  /** false without an inventory: a name that is not found may still be one of the inventory's */
  readonly #complete: boolean;
  readonly #values = new Map<string, unknown>();
  readonly #open: string[] = [];

  constructor(layers: readonly Layer[], complete: boolean) {
    this.#layers = layers;
    this.#complete = complete;
  }

  /** A scope with more layers on top; shares nothing rendered, since an outer value may name an inner variable. */
  with(...layers: readonly Layer[]): Scope {
    const more = layers.filter((layer) => layer.size > 0);
    return more.length === 0 ? this : new Scope([...this.#layers, ...more], this.#complete);
  }

  has(name: string): boolean {
    if (this.#find(name) !== undefined) return true;
    if (!this.#complete) throw new UnknownYet();
    return false;
  }

  get(name: string): unknown {
    if (this.#values.has(name)) return this.#values.get(name);
    const found = this.#find(name);
    if (found === undefined) {
      if (name === 'item')
        throw new Problem('E_UNDEFINED_VARIABLE', 'item is undefined', {
          hint: 'only a task with loop: has it',
        });
      throw this.#complete ? this.#undefined(name) : new UnknownYet();
    }
    if (this.#open.includes(name))
      throw new Problem(
        'E_TEMPLATE',
        `the variable ${name} needs itself: ${[...this.#open, name].join(' → ')}`,
      );
    this.#open.push(name);
    try {
      const value = found.evaluate(this);
      this.#values.set(name, value);
      return value;
    } finally {
      this.#open.pop();
    }
  }

  /** All names in sight. @throws UnknownYet where an inventory could add some */
  names(): Set<string> {
    if (!this.#complete) throw new UnknownYet();
    return new Set(this.#layers.flatMap((layer) => [...layer.keys()]));
  }

  #undefined(name: string): Problem {
    const hint = didYouMean(name, this.names());
    return new Problem('E_UNDEFINED_VARIABLE', `${name} is undefined`, { hint });
  }

  #find(name: string): Compiled | undefined {
    for (let i = this.#layers.length - 1; i >= 0; i--) {
      const found = this.#layers[i]!.get(name);
      if (found !== undefined) return found;
    }
    return undefined;
  }
}
