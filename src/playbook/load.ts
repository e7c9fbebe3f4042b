import { dirname, resolve } from 'node:path';
import { readYaml, type YamlFile } from '../config/yaml.ts';
import { schemaFindings } from '../config/zod-issues.ts';
import { type Diagnostic, FleetError } from '../lib/errors.ts';
import { didYouMean } from '../lib/nearest.ts';
import { kinds as registry } from '../resources/index.ts';
import { AssetStore } from './assets.ts';
import { type CompileContext, compileTask, compileVariables } from './compile-task.ts';
import { diagnosticOf, Findings } from './findings.ts';
import { instancesOf } from './instances.ts';
import type { CompiledPlay, CompiledTask, KindRegistry, Playbook } from './playbook.ts';
import { UnknownYet } from './problem.ts';
import { listFrame, type PlayFrame, playFrame } from './schema.ts';
import { Scope } from './scope.ts';
import { noPlaybook, playHabits } from './words.ts';

/**
 * Reads, checks and compiles a playbook. What does not depend on an inventory is evaluated here, its files read.
 * @param kinds defaults to the registry
 * @throws FleetError E_FILE, E_YAML, E_SCHEMA, … with every finding, each with its position
 */
export async function loadPlaybook(path: string, kinds?: KindRegistry): Promise<Playbook> {
  const { playbook, findings } = await readPlaybook(path, kinds);
  if (findings.length > 0) throw new FleetError(findings);
  return playbook;
}

/**
 * As loadPlaybook, but hands on what is right beside the findings, so that it can be checked further.
 * @throws FleetError E_FILE or E_YAML, where there is nothing to hand on
 */
export async function readPlaybook(
  path: string,
  kinds: KindRegistry = registry,
): Promise<{ playbook: Playbook; findings: readonly Diagnostic[] }> {
  const file = await readYaml(path);
  const folder = dirname(resolve(path));
  const findings = new Findings();
  const warnings = new Findings();
  const context: CompileContext = {
    file,
    kinds,
    report: (finding) => findings.add(finding),
    warn: (finding) => warnings.add(finding),
  };
  const list = listFrame.safeParse(file.value);
  if (!list.success)
    for (const finding of schemaFindings(list.error.issues, file, [], listFrame, file.value, {
      '': noPlaybook,
    }))
      findings.add(finding);
  const plays: CompiledPlay[] = [];
  for (const [index, raw] of (list.data ?? []).entries()) {
    const frame = playFrame.safeParse(raw);
    if (!frame.success)
      schemaFindings(frame.error.issues, file, [index], playFrame, raw, playHabits).forEach(context.report);
    // A play whose frame is broken can not be bound; its tasks are checked all the same.
    const tasks = compileTasks(raw, index, context);
    if (frame.success) plays.push(compilePlay(frame.data, index, tasks, context));
  }
  const playbook = { path, folder, file, plays, assets: new AssetStore(folder), warnings };
  for (const play of plays) evaluateConstants(play, playbook.assets, context);
  return { playbook, findings: findings.list() };
}

function compileTasks(play: unknown, index: number, context: CompileContext): CompiledTask[] {
  const { file } = context;
  const section = (key: 'tasks' | 'handlers') => {
    const list =
      play !== null && typeof play === 'object' && key in play ? (play as Record<string, unknown>)[key] : [];
    return Array.isArray(list) ? list : [];
  };
  const compiled = (['tasks', 'handlers'] as const).flatMap((key) =>
    section(key).map((value, i) => compileTask(value, [index, key, i], key === 'handlers', context)),
  );
  checkHandlers(section('tasks'), section('handlers'), index, file, context.report);
  return compiled.filter((task) => task !== undefined);
}

/** Every name in notify is a handler of the same play, and no two handlers share a name. Works on raw values. */
function checkHandlers(
  tasks: readonly unknown[],
  handlers: readonly unknown[],
  index: number,
  file: YamlFile,
  report: (finding: Diagnostic) => void,
): void {
  const names = new Set<string>();
  for (const [i, handler] of handlers.entries()) {
    const name = field(handler, 'name');
    if (typeof name !== 'string') continue;
    const at = file.positionOf([index, 'handlers', i, 'name']);
    if (names.has(name)) report(file.finding('E_SCHEMA', at, `two handlers are named "${name}"`));
    names.add(name);
  }
  for (const [key, list] of [
    ['tasks', tasks],
    ['handlers', handlers],
  ] as const)
    for (const [i, task] of list.entries()) {
      const notify = field(task, 'notify');
      const wanted = Array.isArray(notify) ? notify : [notify];
      for (const [n, name] of wanted.entries()) {
        if (typeof name !== 'string' || names.has(name)) continue;
        const path = [index, key, i, 'notify', ...(Array.isArray(notify) ? [n] : [])];
        report(
          file.finding(
            'E_UNKNOWN_HANDLER',
            file.positionOf(path),
            `this play has no handler "${name}"`,
            didYouMean(name, names) ??
              (names.size === 0
                ? 'handlers: holds them, beside tasks:'
                : `handlers: ${[...names].join(', ')}`),
          ),
        );
      }
    }
}

function compilePlay(
  frame: PlayFrame,
  index: number,
  tasks: readonly CompiledTask[],
  { file, report }: CompileContext,
): CompiledPlay {
  const { serial } = frame;
  const hosts = Array.isArray(frame.hosts) ? frame.hosts.join(':') : frame.hosts;
  return {
    name: frame.name ?? hosts,
    index,
    hosts,
    hostsAt: file.positionOf([index, 'hosts']),
    become: frame.become,
    vars: compileVariables(frame.vars, file, [index, 'vars'], (problem) => report(diagnosticOf(problem))),
    serial: serial === undefined ? [] : Array.isArray(serial) ? serial : [serial],
    maxFailPercentage: frame.max_fail_percentage ?? 100,
    tasks,
  };
}

/** Tasks that use no variable of the inventory are the same for every host: they are evaluated once, now. */
function evaluateConstants(play: CompiledPlay, assets: AssetStore, { report }: CompileContext): void {
  const scope = new Scope([play.vars], false);
  for (const task of play.tasks) {
    try {
      task.constant = instancesOf(task, scope, assets, report);
    } catch (error) {
      if (!(error instanceof UnknownYet)) throw error;
    }
  }
}

function field(value: unknown, key: string): unknown {
  return value !== null && typeof value === 'object' ? (value as Record<string, unknown>)[key] : undefined;
}
