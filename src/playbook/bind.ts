import { schemaFindings } from '../config/zod-issues.ts';
import type { HostFacts } from '../facts/facts.ts';
import type { Host } from '../inventory/host.ts';
import type { Inventory } from '../inventory/inventory.ts';
import { selectHosts } from '../inventory/pattern.ts';
import { type Diagnostic, FleetError } from '../lib/errors.ts';
import type { Asset, Input } from '../resources/kind.ts';
import { Assets } from './assets.ts';
import { literal } from './compiled.ts';
import type { BoundPlay, Declaration } from './declaration.ts';
import { diagnose } from './diagnose.ts';
import type { Play, Playbook, Task } from './playbook.ts';
import { Problem, UnknownYet } from './problem.ts';
import { Scope } from './scope.ts';
import { checkTags, isChosen } from './tags.ts';
import { withTextValues } from './text-values.ts';
import { hostScopes } from './variables.ts';

const maxProblems = 50;
const maxItems = 1000;

export interface BindOptions {
  /** -l: only hosts that this pattern selects too */
  limit?: string | undefined;
  /** -t: only tasks with one of these tags; `always` tasks stay, `never` tasks need their tag named */
  tags?: readonly string[] | undefined;
}

/**
 * Binds a playbook to hosts: variables in, files loaded, loops unrolled, every declaration checked by its kind.
 * @throws FleetError with every finding of every host, the same one said once
 */
export function bindPlaybook(
  playbook: Playbook,
  inventory: Inventory,
  options: BindOptions = {},
): BoundPlay[] {
  if (options.tags) checkTags(playbook, options.tags);
  const limit = options.limit === undefined ? undefined : new Set(selectHosts(inventory, options.limit));
  const binder = new Binder(playbook);
  const scopeOf = hostScopes(inventory, (problem, host) => binder.reportElsewhere(problem, host));
  const bound = playbook.plays.map((play): BoundPlay => {
    const all = binder.attempt(() => selectHosts(inventory, play.hosts, play.hostsAt)) ?? [];
    const hosts = all.filter((name) => limit?.has(name) ?? true);
    const tasks = play.tasks.filter((task) => task.handler || isChosen(task.tags, options.tags));
    const declarations = new Map(
      hosts.map((name) => {
        const host = inventory.hosts.get(name)!;
        return [name, binder.bindHost(play, tasks, host, scopeOf(host))];
      }),
    );
    return {
      name: play.name,
      index: play.index,
      hosts,
      serial: play.serial.map((size) => hostsOf(size, hosts.length)),
      maxFailPercentage: play.maxFailPercentage,
      declarations: (name) => declarations.get(name) ?? [],
    };
  });
  binder.throwProblems();
  if (bound.every((play) => play.hosts.length === 0))
    throw new FleetError({
      code: 'E_PATTERN',
      message: `-l ${options.limit} leaves no host of this playbook`,
      hint: `its plays are for ${[...new Set(playbook.plays.map((play) => play.hosts))].join(', ')}`,
    });
  return bound;
}

/**
 * Checks what can be checked of a playbook without an inventory: tasks whose values need only variables of the playbook.
 * @throws FleetError with every finding
 */
export function checkPlaybook(playbook: Playbook): void {
  const binder = new Binder(playbook);
  const host: Host = { name: '', groups: [], connection: {}, vars: {} };
  for (const play of playbook.plays) binder.bindHost(play, play.tasks, host, new Scope([], false));
  binder.throwProblems();
}

/** Hosts of a batch; a percentage is of the play's hosts, at least one. */
function hostsOf(size: number | string, hosts: number): number {
  return typeof size === 'number' ? size : Math.max(1, Math.floor((Number(size.slice(0, -1)) * hosts) / 100));
}

/** What is the same for every host where nothing in a task is a template. */
interface Shared {
  input?: Input<unknown> | null;
  declarations: Map<boolean, Declaration>;
}

class Binder {
  readonly #playbook: Playbook;
  readonly #assets: Assets;
  readonly #problems = new Map<string, Diagnostic>();
  readonly #shared = new Map<Task, Shared>();
  readonly #inputs = new Map<Task, Map<string, Input<unknown> | null>>();

  constructor(playbook: Playbook) {
    this.#playbook = playbook;
    this.#assets = new Assets(playbook.path);
  }

  throwProblems(): void {
    if (this.#problems.size > 0) throw new FleetError([...this.#problems.values()].slice(0, maxProblems));
  }

  /** Runs `work`; what it throws as findings is collected. */
  attempt<T>(work: () => T): T | undefined {
    try {
      return work();
    } catch (error) {
      if (!(error instanceof FleetError) || error.code === 'E_BUG') throw error;
      for (const finding of error.diagnostics) this.#add(finding);
      return undefined;
    }
  }

  /** A problem in a text whose place is not known: a variable of the inventory. */
  reportElsewhere(problem: Error, host: string): void {
    const { code, message, hint } = problem as Problem;
    this.#add({ code, message: `a variable of the inventory: ${message}`, hint, host });
  }

  bindHost(play: Play, tasks: readonly Task[], host: Host, scope: Scope): readonly Declaration[] {
    const inPlay = scope.with(play.vars);
    return tasks.flatMap((task) => {
      try {
        return this.#bindTask(play, task, host, inPlay.with(task.vars));
      } catch (error) {
        if (error instanceof UnknownYet) return [];
        this.#report(error, task, host);
        return [];
      }
    });
  }

  #bindTask(play: Play, task: Task, host: Host, scope: Scope): Declaration[] {
    const become = task.become ?? play.become ?? host.connection.become ?? true;
    if (task.loop === undefined) return this.#bindItem(play, task, host, scope, become, undefined);
    const items = task.loop.evaluate(scope);
    const at = [...task.path, 'loop'];
    if (!Array.isArray(items)) {
      this.#find('E_SCHEMA', at, 'loop must be a list', host);
      return [];
    }
    if (items.length > maxItems) {
      this.#find('E_SCHEMA', at, `loop has ${items.length} items; ${maxItems} are the most`, host);
      return [];
    }
    return items.flatMap((item) => {
      const inner = scope.with(new Map([['item', literal(item)]]));
      return this.#bindItem(play, task, host, inner, become, item);
    });
  }

  #bindItem(play: Play, task: Task, host: Host, scope: Scope, become: boolean, item: unknown): Declaration[] {
    const plain =
      task.loop === undefined &&
      task.conditions.length === 0 &&
      task.value.literal &&
      (task.name?.literal ?? true);
    const shared = this.#sharedOf(task);
    const known = plain ? shared.declarations.get(become) : undefined;
    if (known !== undefined) return [known];
    const when = this.#decide(task, scope);
    const base = {
      play: play.name,
      playIndex: play.index,
      task: nameOf(task, scope, item),
      handler: task.handler,
      kind: task.kind.kind,
      at: task.at,
      become,
      tags: task.tags,
      notify: task.notify,
    };
    if (when === false) return [{ ...base, input: { desired: null, assets: {} }, skipped: true }];
    const input = this.#inputOf(task, scope, host);
    if (input === null) return [];
    const declaration: Declaration = { ...base, input, ...(when === true ? {} : { when }) };
    if (plain && shared.input !== undefined) shared.declarations.set(become, declaration);
    return [declaration];
  }

  #decide(task: Task, scope: Scope): boolean | ((facts: HostFacts) => boolean) {
    const open: ((facts: HostFacts) => boolean)[] = [];
    for (const { condition, path } of task.conditions) {
      const where = { yaml: this.#playbook.yaml, path };
      const placed = <T>(work: () => T): T => {
        try {
          return work();
        } catch (error) {
          throw error instanceof Problem ? error.placed(where) : error;
        }
      };
      const answer = placed(() => condition.decide(scope));
      if (answer === false) return false;
      if (answer !== true)
        open.push((facts) => {
          try {
            return answer(facts);
          } catch (error) {
            throw error instanceof Problem ? new FleetError(diagnose(error, where)) : error;
          }
        });
    }
    return open.length === 0 ? true : (facts) => open.every((condition) => condition(facts));
  }

  /** The checked value of a task; null when it is not right, which is reported. */
  #inputOf(task: Task, scope: Scope, host: Host): Input<unknown> | null {
    const shared = this.#sharedOf(task);
    if (task.value.literal && shared.input !== undefined) return shared.input;
    const value = task.value.evaluate(scope);
    const key = task.value.literal ? '' : JSON.stringify(value);
    const known = this.#inputs.get(task)?.get(key);
    if (known !== undefined) return known;
    const { kind, path } = task;
    let parsed = kind.schema.safeParse(value);
    if (!parsed.success && !task.value.literal) {
      const text = withTextValues(parsed.error.issues, value, task.written);
      if (text !== undefined) parsed = kind.schema.safeParse(text);
    }
    if (!parsed.success) {
      const base = [...path, kind.kind];
      for (const finding of schemaFindings(
        parsed.error.issues,
        this.#playbook.yaml,
        base,
        kind.schema,
        value,
      ))
        this.#add({ ...finding, ...(task.value.literal ? {} : this.#hostOf(host)) });
      return this.#keep(task, key, null, true);
    }
    const requests = kind.assets?.(parsed.data) ?? [];
    const assets: Record<string, Asset> = {};
    let complete = true;
    for (const request of requests) {
      try {
        assets[request.key] = this.#assets.load(request, scope);
      } catch (error) {
        if (!(error instanceof Problem)) throw error;
        complete = false;
        this.#report(error, task, host, request.key);
      }
    }
    const rendered = requests.some((request) => request.how === 'template');
    if (!complete) return this.#keep(task, key, null, !rendered);
    const input = { desired: parsed.data, assets };
    const findings = kind.check?.(input) ?? [];
    for (const { key: where, message, hint } of findings)
      this.#find('E_SCHEMA', [...path, kind.kind, where], message, host, hint);
    return this.#keep(task, key, findings.length > 0 ? null : input, !rendered);
  }

  /** `reusable`: the value alone decides, not the variables that a template file renders. */
  #keep(task: Task, key: string, input: Input<unknown> | null, reusable: boolean): Input<unknown> | null {
    if (!reusable) return input;
    if (task.value.literal) this.#sharedOf(task).input = input;
    else {
      const inputs = this.#inputs.get(task) ?? new Map<string, Input<unknown> | null>();
      this.#inputs.set(task, inputs.set(key, input));
    }
    return input;
  }

  #sharedOf(task: Task): Shared {
    let shared = this.#shared.get(task);
    if (shared === undefined) {
      shared = { declarations: new Map() };
      this.#shared.set(task, shared);
    }
    return shared;
  }

  #report(error: unknown, task: Task, host: Host, key?: string): void {
    if (error instanceof FleetError) {
      this.attempt(() => {
        throw error;
      });
      return;
    }
    if (!(error instanceof Problem)) throw error;
    // An asset's key such as `source.1` names an item of a list.
    const steps =
      key === undefined ? [] : key.split('.').map((step) => (/^\d+$/.test(step) ? Number(step) : step));
    const path = [...task.path, task.kind.kind, ...steps];
    const finding = diagnose(error, { yaml: this.#playbook.yaml, path });
    this.#add({ ...finding, ...this.#hostOf(host) });
  }

  #find(code: Diagnostic['code'], path: Task['path'], message: string, host: Host, hint?: string): void {
    const { yaml } = this.#playbook;
    this.#add({ ...yaml.finding(code, yaml.positionOf(path), message, hint), ...this.#hostOf(host) });
  }

  #hostOf(host: Host): { host?: string } {
    return host.name === '' ? {} : { host: host.name };
  }

  /** The first host that a finding concerns stands for all of them. */
  #add(finding: Diagnostic): void {
    const { code, message, at } = finding;
    const key = `${code}\0${at?.file}\0${at?.line}\0${at?.col}\0${message}`;
    if (!this.#problems.has(key)) this.#problems.set(key, finding);
  }
}

function nameOf(task: Task, scope: Scope, item: unknown): string {
  const name = task.name === undefined ? task.kind.kind : String(task.name.evaluate(scope));
  if (task.loop === undefined) return name;
  const text = typeof item === 'object' && item !== null ? JSON.stringify(item) : String(item);
  return `${name} (item=${text.length > 80 ? `${text.slice(0, 79)}…` : text})`;
}
