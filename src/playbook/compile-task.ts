import type { Path, YamlFile } from '../config/yaml.ts';
import { schemaFindings } from '../config/zod-issues.ts';
import type { Diagnostic } from '../lib/errors.ts';
import { didYouMean } from '../lib/nearest.ts';
import { compileString, compileValue } from './compiled.ts';
import { diagnosticOf } from './findings.ts';
import type { CompiledTask, KindRegistry } from './playbook.ts';
import { Problem } from './problem.ts';
import { handlerWords, type TaskFrame, taskSchemas, taskWords } from './schema.ts';
import type { Layer } from './scope.ts';
import { TaskBody } from './task-body.ts';
import { compileWhen } from './when.ts';
import { ansibleModules, ansibleWords, missingModules } from './words.ts';

export interface CompileContext {
  file: YamlFile;
  kinds: KindRegistry;
  report(finding: Diagnostic): void;
  /** for what is allowed and most likely not meant */
  warn(finding: Diagnostic): void;
}

/**
 * Checks and compiles one task or handler.
 * @param path where it stands in the file
 * @returns undefined where it is too broken to be bound; why was reported
 */
export function compileTask(
  value: unknown,
  path: Path,
  handler: boolean,
  context: CompileContext,
): CompiledTask | undefined {
  const { file, kinds } = context;
  const what = handler ? 'a handler' : 'a task';
  if (value === null || typeof value !== 'object' || Array.isArray(value)) {
    const hint = 'such as `- name: no telnet` with `package: { name: telnetd, state: absent }` below it';
    context.report(file.finding('E_SCHEMA', file.positionOf(path), `${what} must be a map`, hint));
    return undefined;
  }
  const raw = value as Record<string, unknown>;
  let broken = false;
  const report = (finding: Diagnostic | Problem) => {
    broken = true;
    context.report(finding instanceof Problem ? diagnosticOf(finding) : finding);
  };
  const schema = taskSchemas[handler ? 'handler' : 'task'];
  const frame = schema.safeParse(raw);
  if (!frame.success) schemaFindings(frame.error.issues, file, path, schema, raw).forEach(report);
  const kindName = kindOf(raw, path, handler, context, report);
  const kind = kindName === undefined ? undefined : kinds.get(kindName);
  const body = kind && new TaskBody(kind, raw[kind.kind], file, [...path, kind.kind], report, context.warn);
  if (!frame.success || body === undefined) return undefined;
  const { name = body.kind.kind, when, notify, become, vars } = frame.data;
  const { loop, tags } = 'loop' in frame.data || 'tags' in frame.data ? (frame.data as TaskFrame) : {};
  const task: CompiledTask = {
    handler,
    at: file.positionOf(path),
    label: name,
    name: compileString(name, { yaml: file, path: [...path, 'name'] }, report),
    when: when === undefined ? undefined : compileWhen(when, file, [...path, 'when'], report),
    loop: loop === undefined ? undefined : compileValue(loop, file, [...path, 'loop'], report),
    loopOrigin: { yaml: file, path: [...path, 'loop'] },
    tags: listOf(tags),
    notify: listOf(notify),
    become,
    vars: compileVariables(vars, file, [...path, 'vars'], report),
    body,
  };
  return broken ? undefined : task;
}

/** Compiles a `vars:` map. */
export function compileVariables(
  vars: Readonly<Record<string, unknown>> | null | undefined,
  file: YamlFile,
  path: Path,
  report: (problem: Problem) => void,
): Layer {
  return new Map(
    Object.entries(vars ?? {}).map(([name, value]) => [
      name,
      compileValue(value, file, [...path, name], report),
    ]),
  );
}

/** The one resource kind that a task names; keys that are neither a word of tasks nor a kind are reported. */
function kindOf(
  raw: Readonly<Record<string, unknown>>,
  path: Path,
  handler: boolean,
  { file, kinds }: CompileContext,
  report: (finding: Diagnostic) => void,
): string | undefined {
  const words = handler ? handlerWords : taskWords;
  const keys = Object.keys(raw);
  const named = keys.filter((key) => kinds.has(key));
  const unknown = keys.filter((key) => !words.includes(key) && !kinds.has(key));
  const at = (key: string) => file.positionOf([...path, key], 'key');
  const [first, second] = named;
  for (const key of unknown) {
    const known = Object.hasOwn(ansibleWords, key) ? ansibleWords[key] : undefined;
    const module = key.replace(/^ansible\.builtin\.|^community\.general\./, '');
    const ours = Object.hasOwn(ansibleModules, module)
      ? `write ${ansibleModules[module]}`
      : Object.hasOwn(missingModules, module)
        ? missingModules[module]
        : undefined;
    const nearWord = didYouMean(key, words);
    // Where no kind is named, the key that nobody knows was most likely meant as one.
    if (first === undefined && known === undefined && nearWord === undefined)
      report(
        file.finding(
          'E_UNKNOWN_KIND',
          at(key),
          `there is no resource kind "${key}"`,
          ours ?? didYouMean(key, kinds.keys()) ?? `kinds: ${[...kinds.keys()].join(', ')}`,
        ),
      );
    else
      report(
        file.finding(
          'E_UNKNOWN_KEY',
          at(key),
          `unknown key "${key}"`,
          known ??
            nearWord ??
            ours ??
            didYouMean(key, kinds.keys()) ??
            `known here: ${words.join(', ')} and one resource kind`,
        ),
      );
  }
  if (second !== undefined)
    report(
      file.finding(
        'E_SCHEMA',
        at(second),
        `one task has one resource kind, this one names ${named.join(' and ')}`,
        'write one task for each',
      ),
    );
  if (first === undefined && unknown.length === 0)
    report(
      file.finding(
        'E_UNKNOWN_KIND',
        file.positionOf(path),
        `the ${handler ? 'handler' : 'task'} names no resource kind`,
        `kinds: ${[...kinds.keys()].join(', ')}`,
      ),
    );
  return first;
}

function listOf(value: string | readonly string[] | undefined): readonly string[] {
  return value === undefined ? [] : typeof value === 'string' ? [value] : value;
}
