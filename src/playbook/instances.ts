import type { HostFacts } from '../facts/facts.ts';
import { type Diagnostic, FleetError } from '../lib/errors.ts';
import type { Input } from '../resources/kind.ts';
import type { AssetStore } from './assets.ts';
import { literal } from './compiled.ts';
import { diagnosticOf } from './findings.ts';
import type { CompiledTask } from './playbook.ts';
import { Problem } from './problem.ts';
import type { Scope } from './scope.ts';

/** Most items that a loop may have. */
const maxItems = 1000;
/** Characters of an item that a task's name shows. */
const maxItemText = 60;

/** A task with its variables in: one, or one an item of its loop. */
export interface Instance {
  name: string;
  input: Input<unknown>;
  /** the condition is false whatever the host answers; there is no input then */
  skipped?: true;
  when?: (facts: HostFacts) => boolean;
}

const nothing: Input<unknown> = { desired: null, assets: {} };

/**
 * Unrolls a task for the variables of a host and its play. Where the condition is already false, only the name is rendered.
 * @param report gets every finding; what it concerns is missing from the answer
 * @throws UnknownYet where the scope is not complete
 */
export function instancesOf(
  task: CompiledTask,
  scope: Scope,
  assets: AssetStore,
  report: (finding: Diagnostic) => void,
): Instance[] {
  const instances: Instance[] = [];
  const attempt = (work: () => void) => {
    try {
      work();
    } catch (error) {
      if (error instanceof Problem) report(diagnosticOf(error));
      else if (error instanceof FleetError) error.diagnostics.forEach(report);
      else throw error;
    }
  };
  const own = scope.with(task.vars);
  attempt(() => {
    const items = itemsOf(task, own);
    // No item is made of what is in the task then; a name that is wrong is wrong all the same, unless a condition guards it.
    if (items.length === 0 && task.when === undefined) {
      attempt(() => task.name.checkNames(own, 'item'));
      attempt(() => task.body.checkNames(own));
    }
    for (const item of items)
      attempt(() => {
        instances.push(bindOne(task, item === noItem ? own : own.with(itemLayer(item)), assets, item));
      });
  });
  return instances;
}

const noItem = Symbol('no loop');

function itemsOf(task: CompiledTask, scope: Scope): readonly unknown[] {
  if (task.loop === undefined) return [noItem];
  const items = task.loop.evaluate(scope);
  if (!Array.isArray(items))
    throw new Problem('E_SCHEMA', 'loop must be a list', {
      hint: items !== null && typeof items === 'object' ? 'for a map write a list of maps' : undefined,
    }).placed(task.loopOrigin!);
  if (items.length > maxItems)
    throw new Problem('E_SCHEMA', `the loop has ${items.length} items; at most ${maxItems} are read`).placed(
      task.loopOrigin!,
    );
  return items;
}

function itemLayer(item: unknown) {
  return new Map([['item', literal(item)]]);
}

function bindOne(task: CompiledTask, scope: Scope, assets: AssetStore, item: unknown): Instance {
  const decision = task.when?.decide(scope) ?? true;
  if (decision === false) return { name: skippedName(task, scope, item), input: nothing, skipped: true };
  const name = nameOf(task, scope, item);
  const input = task.body.input(scope, assets);
  return decision === true ? { name, input } : { name, input, when: decision };
}

function nameOf(task: CompiledTask, scope: Scope, item: unknown): string {
  const name = oneLine(String(task.name.evaluate(scope)));
  return item === noItem ? name : `${name} (item=${itemText(item)})`;
}

/** A task is often skipped because a variable is not there, which its name may hold too: then it stands as written. */
function skippedName(task: CompiledTask, scope: Scope, item: unknown): string {
  try {
    return nameOf(task, scope, item);
  } catch (error) {
    if (error instanceof Problem) return oneLine(task.label);
    throw error;
  }
}

function itemText(item: unknown): string {
  const text = oneLine(item !== null && typeof item === 'object' ? JSON.stringify(item) : String(item));
  return text.length > maxItemText ? `${text.slice(0, maxItemText)}…` : text;
}

function oneLine(text: string): string {
  return text.replace(/\s+/g, ' ').trim();
}
