import type { Inventory } from '../inventory/inventory.ts';
import { selectHosts } from '../inventory/pattern.ts';
import { type Diagnostic, FleetError } from '../lib/errors.ts';
import { type Contradiction, contradictions } from './contradictions.ts';
import type { BoundPlay, Declaration } from './declaration.ts';
import { diagnosticOf, Findings } from './findings.ts';
import { HostVariables } from './host-variables.ts';
import { type Instance, instancesOf } from './instances.ts';
import type { CompiledPlay, CompiledTask, Playbook } from './playbook.ts';
import { Scope } from './scope.ts';
import { checkTags, isChosen } from './tags.ts';

export interface BindOptions {
  /** -l: only hosts that this pattern selects too */
  limit?: string | undefined;
  /** -t: only tasks with one of these tags; `always` tasks stay, `never` tasks need their tag named */
  tags?: readonly string[] | undefined;
}

/**
 * Binds a playbook to hosts.
 * @throws FleetError with every finding of every host, the same one said once; E_PATTERN where no host is left; E_USAGE for
 *   a tag that no task has
 */
export function bindPlaybook(
  playbook: Playbook,
  inventory: Inventory,
  options: BindOptions = {},
): BoundPlay[] {
  const limit = options.limit === undefined ? undefined : new Set(selectHosts(inventory, options.limit));
  if (options.tags)
    checkTags(
      playbook.plays.flatMap((play) => play.tasks),
      options.tags,
    );
  const { plays, findings } = tryBind(playbook, inventory, limit, options.tags);
  if (findings.length > 0) throw new FleetError(findings);
  if (plays.every((play) => play.hosts.length === 0))
    throw new FleetError({
      code: 'E_PATTERN',
      message: `no play of ${playbook.path} works on the hosts of -l ${options.limit}`,
      hint: `plays work on: ${[...new Set(plays.map((play) => playbook.plays[play.index]!.hosts))].join(', ')}`,
    });
  return plays;
}

/** As bindPlaybook, with the findings handed back. */
export function tryBind(
  playbook: Playbook,
  inventory: Inventory,
  limit?: ReadonlySet<string> | undefined,
  tags?: readonly string[] | undefined,
): { plays: BoundPlay[]; findings: Diagnostic[] } {
  const findings = new Findings();
  const variables = new HostVariables(inventory, (problem) => findings.add(diagnosticOf(problem)));
  const plays = playbook.plays.map((play) => {
    const hosts = hostsOf(play, playbook, inventory, findings).filter((host) => limit?.has(host) ?? true);
    const binder = new PlayBinder(play, playbook, inventory, variables, findings);
    const chosen = play.tasks.filter((task) => isChosen(task, tags));
    const bound = new Map(hosts.map((host) => [host, binder.declarations(host, chosen)]));
    return {
      name: play.name,
      index: play.index,
      hosts,
      serial: play.serial.map((size) => batchSize(size, hosts.length)),
      maxFailPercentage: play.maxFailPercentage,
      declarations: (host: string) => bound.get(host) ?? [],
    };
  });
  findContradictions(plays, playbook, findings);
  return { plays, findings: findings.list() };
}

/**
 * Tasks that undo each other: an error where both run for certain. Where one has a condition on facts it is worth a warning;
 * where both have, they may exclude each other, and the plan of each host tells.
 */
function findContradictions(plays: readonly BoundPlay[], playbook: Playbook, findings: Findings): void {
  const tell = ({ finding, later }: Contradiction) => ({
    ...finding,
    excerpt: playbook.file.excerpt(later.at.line),
  });
  for (const host of new Set(plays.flatMap((play) => play.hosts))) {
    const all = plays.flatMap((play) => (play.hosts.includes(host) ? play.declarations(host) : []));
    const certain = new Set(all.filter(({ handler, when }) => !handler && when === undefined));
    for (const found of contradictions([...certain])) findings.add(tell(found), host);
    if (certain.size === all.length) continue;
    for (const found of contradictions(all))
      if (certain.has(found.earlier) !== certain.has(found.later)) playbook.warnings.add(tell(found), host);
  }
}

function hostsOf(
  play: CompiledPlay,
  { file }: Playbook,
  inventory: Inventory,
  findings: Findings,
): readonly string[] {
  try {
    return selectHosts(inventory, play.hosts, play.hostsAt);
  } catch (error) {
    if (!(error instanceof FleetError)) throw error;
    for (const { code, message, hint, at } of error.diagnostics)
      findings.add(file.finding(code, at ?? play.hostsAt, message, hint));
    return [];
  }
}

/** Makes the declarations of one play, host by host. */
class PlayBinder {
  readonly #play: CompiledPlay;
  readonly #playbook: Playbook;
  readonly #inventory: Inventory;
  readonly #variables: HostVariables;
  readonly #findings: Findings;
  /** declarations of constant tasks by `become`: all hosts share them */
  readonly #shared = new Map<CompiledTask, Map<boolean, readonly Declaration[]>>();

  constructor(
    play: CompiledPlay,
    playbook: Playbook,
    inventory: Inventory,
    variables: HostVariables,
    findings: Findings,
  ) {
    this.#play = play;
    this.#playbook = playbook;
    this.#inventory = inventory;
    this.#variables = variables;
    this.#findings = findings;
  }

  declarations(name: string, tasks: readonly CompiledTask[]): readonly Declaration[] {
    const host = this.#inventory.hosts.get(name)!;
    let scope: Scope | undefined;
    return tasks.flatMap((task) => {
      const become = task.become ?? this.#play.become ?? host.connection.become ?? true;
      if (task.constant !== undefined) return this.#constant(task, task.constant, become);
      scope ??= new Scope([this.#variables.layer(host), this.#play.vars], true);
      const report = (finding: Diagnostic) => this.#findings.add({ ...finding, task: task.label }, name);
      const instances = instancesOf(task, scope, this.#playbook.assets, report);
      return instances.map((instance) => this.#declare(task, instance, become));
    });
  }

  #constant(task: CompiledTask, instances: readonly Instance[], become: boolean): readonly Declaration[] {
    let known = this.#shared.get(task);
    if (known === undefined) {
      known = new Map();
      this.#shared.set(task, known);
    }
    let declarations = known.get(become);
    if (declarations === undefined) {
      declarations = instances.map((instance) => this.#declare(task, instance, become));
      known.set(become, declarations);
    }
    return declarations;
  }

  #declare(task: CompiledTask, { name, input, skipped, when }: Instance, become: boolean): Declaration {
    const claims = skipped ? [] : task.body.claims(input);
    return {
      play: this.#play.name,
      playIndex: this.#play.index,
      task: name,
      handler: task.handler,
      kind: task.body.kind.kind,
      at: task.at,
      input,
      ...(claims.length === 0 ? {} : { claims }),
      become,
      tags: task.tags,
      notify: task.notify,
      ...(skipped === undefined ? {} : { skipped }),
      ...(when === undefined ? {} : { when }),
    };
  }
}

/** A batch in hosts; a share is rounded down, and is at least one host. */
function batchSize(size: number | string, hosts: number): number {
  if (typeof size === 'number') return size;
  return Math.max(1, Math.floor((hosts * Number.parseInt(size, 10)) / 100));
}
