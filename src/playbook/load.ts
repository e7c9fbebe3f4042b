import { dirname, resolve } from 'node:path';
import { type Path, readYaml, type YamlFile } from '../config/yaml.ts';
import { schemaFindings } from '../config/zod-issues.ts';
import { type Diagnostic, FleetError } from '../lib/errors.ts';
import { didYouMean } from '../lib/nearest.ts';
import { variableNameProblem } from '../lib/variable-name.ts';
import { kinds as allKinds } from '../resources/index.ts';
import { type Compiled, compileString, compileValue } from './compiled.ts';
import { compileCondition } from './condition.ts';
import { diagnose } from './diagnose.ts';
import type { KindRegistry, Play, Playbook, Task } from './playbook.ts';
import { Problem } from './problem.ts';
import { type PlayInput, playbookSchema, type TaskInput, taskKeys } from './schema.ts';
import type { Layer } from './scope.ts';

const maxProblems = 50;

/**
 * Reads, checks and compiles a playbook: keys and types of plays and tasks, names of handlers and variables, the syntax
 * of templates and conditions. What depends on a host's variables is checked by bindPlaybook.
 * @param kinds defaults to the registry
 * @throws FleetError with every finding, each with its position
 */
export async function loadPlaybook(path: string, kinds: KindRegistry = allKinds): Promise<Playbook> {
  const yaml = await readYaml(path);
  const schema = playbookSchema(kinds);
  const parsed = schema.safeParse(yaml.value);
  if (!parsed.success) {
    const findings = schemaFindings(parsed.error.issues, yaml, [], schema, yaml.value);
    throw new FleetError(
      findings.map((finding) => nameUnknownKind(finding, yaml, kinds)).slice(0, maxProblems),
    );
  }
  const compiler = new Compiler(yaml, kinds);
  const plays = parsed.data.map((play, index) => compiler.play(play, index));
  if (compiler.problems.length > 0) throw new FleetError(compiler.problems.slice(0, maxProblems));
  return { path, folder: dirname(resolve(path)), yaml, plays };
}

/** A task without any known kind most likely misspells one: that is what is unknown then. */
function nameUnknownKind(finding: Diagnostic, yaml: YamlFile, kinds: KindRegistry): Diagnostic {
  const key = /^unknown key "(.*)" in \[(\d+)\]\.(tasks|handlers)\[(\d+)\]$/.exec(finding.message);
  if (finding.code !== 'E_UNKNOWN_KEY' || key === null) return finding;
  const [, word, play, list, index] = key;
  const plays = yaml.value as Record<string, Record<string, unknown>[]>[];
  const task = plays[Number(play)]?.[list!]?.[Number(index)];
  if (task === undefined || Object.keys(task).some((name) => kinds.has(name))) return finding;
  const names = [...kinds.keys()];
  return {
    ...finding,
    code: 'E_UNKNOWN_KIND',
    message: `unknown resource kind "${word}"`,
    hint: didYouMean(word!, [...names, ...taskKeys]) ?? `resource kinds: ${names.join(', ')}`,
  };
}

/** Compiles what the schema has let through; findings are collected. */
class Compiler {
  readonly problems: Diagnostic[] = [];
  readonly #yaml: YamlFile;
  readonly #kinds: KindRegistry;

  constructor(yaml: YamlFile, kinds: KindRegistry) {
    this.#yaml = yaml;
    this.#kinds = kinds;
  }

  play(play: PlayInput, index: number): Play {
    const handlers = new Map<string, Path>();
    for (const [i, handler] of (play.handlers ?? []).entries())
      this.#noteHandler(handlers, handler, [index, 'handlers', i]);
    const task = (list: 'tasks' | 'handlers') =>
      (play[list] ?? []).flatMap((one, i) =>
        this.#task(one, [index, list, i], handlers, list === 'handlers'),
      );
    return {
      name: play.name ?? play.hosts,
      index,
      hosts: play.hosts,
      hostsAt: this.#yaml.positionOf([index, 'hosts']),
      become: play.become,
      vars: this.#layer(play.vars, [index, 'vars']),
      serial: play.serial ?? [],
      maxFailPercentage: play.max_fail_percentage ?? 100,
      tasks: [...task('tasks'), ...task('handlers')],
    };
  }

  #noteHandler(handlers: Map<string, Path>, handler: TaskInput, path: Path): void {
    if (handler.name === undefined) this.#find(path, 'value', 'a handler needs a name, which notify names');
    else if (handlers.has(handler.name))
      this.#find([...path, 'name'], 'value', `two handlers of this play are named "${handler.name}"`);
    else handlers.set(handler.name, path);
  }

  #task(task: TaskInput, path: Path, handlers: ReadonlyMap<string, Path>, handler: boolean): Task[] {
    const kind = this.#kindOf(task, path);
    this.#checkNotify(task, path, handlers);
    const vars = this.#layer(task.vars, [...path, 'vars']);
    const conditions = this.#conditions(task.when, [...path, 'when']);
    const loop = task.loop === undefined ? undefined : this.#compile(task.loop, [...path, 'loop']);
    const name = task.name === undefined ? undefined : this.#text(task.name, [...path, 'name']);
    if (handler && name && !name.literal)
      this.#find(
        [...path, 'name'],
        'value',
        'the name of a handler can not hold a template: notify names it',
      );
    if (kind === undefined) return [];
    return [
      {
        path,
        at: this.#yaml.positionOf(path),
        handler,
        name,
        kind,
        value: this.#compile(task[kind.kind], [...path, kind.kind]),
        written: task[kind.kind],
        conditions,
        loop,
        tags: task.tags ?? [],
        notify: task.notify ?? [],
        become: task.become,
        vars,
      },
    ];
  }

  #kindOf(task: TaskInput, path: Path) {
    const [first, second] = Object.keys(task).filter((key) => this.#kinds.has(key));
    if (first === undefined)
      this.#find(
        path,
        'value',
        'the task names no resource kind',
        `one of ${[...this.#kinds.keys()].join(', ')}`,
      );
    else if (second !== undefined)
      this.#find(
        [...path, second],
        'key',
        `a task names one resource kind; this one has ${first} and ${second}`,
        'make two tasks of it',
      );
    return first === undefined ? undefined : this.#kinds.get(first);
  }

  #checkNotify(task: TaskInput, path: Path, handlers: ReadonlyMap<string, Path>): void {
    const single = typeof (valueAt(this.#yaml.value, path) as TaskInput).notify === 'string';
    for (const [i, name] of (task.notify ?? []).entries()) {
      if (handlers.has(name)) continue;
      const hint =
        didYouMean(name, handlers.keys()) ??
        (handlers.size > 0
          ? `handlers of this play: ${[...handlers.keys()].join(', ')}`
          : 'this play has no handlers');
      const at = this.#yaml.positionOf([...path, 'notify', ...(single ? [] : [i])]);
      this.problems.push(this.#yaml.finding('E_UNKNOWN_HANDLER', at, `no handler is named "${name}"`, hint));
    }
  }

  #conditions(when: TaskInput['when'], path: Path): Task['conditions'] {
    if (when === undefined) return [];
    const list = Array.isArray(when) ? when : [when];
    return list.flatMap((one, i) => {
      const place = Array.isArray(when) ? [...path, i] : path;
      try {
        return [{ condition: compileCondition(String(one)), path: place }];
      } catch (error) {
        this.#report(error, place);
        return [];
      }
    });
  }

  #layer(vars: Record<string, unknown> | null | undefined, path: Path): Layer {
    const layer = new Map<string, Compiled>();
    for (const [name, value] of Object.entries(vars ?? {})) {
      const problem = variableNameProblem(name);
      if (problem !== undefined) this.#find([...path, name], 'key', problem);
      else layer.set(name, this.#compile(value, [...path, name]));
    }
    return layer;
  }

  #compile(value: unknown, path: Path): Compiled {
    return compileValue(value, this.#yaml, path, (problem) => this.#report(problem, path));
  }

  #text(text: string, path: Path): Compiled {
    return compileString(text, { yaml: this.#yaml, path }, (problem) => this.#report(problem, path));
  }

  #report(error: unknown, path: Path): void {
    if (!(error instanceof Problem)) throw error;
    this.problems.push(diagnose(error, { yaml: this.#yaml, path }));
  }

  #find(path: Path, part: 'key' | 'value', message: string, hint?: string): void {
    this.problems.push(this.#yaml.finding('E_SCHEMA', this.#yaml.positionOf(path, part), message, hint));
  }
}

function valueAt(root: unknown, path: Path): unknown {
  return path.reduce((value, step) => (value as Record<string | number, unknown>)[step], root);
}
