import type { Path, YamlFile } from '../config/yaml.ts';
import type { Diagnostic, SourcePosition } from '../lib/errors.ts';
import { didYouMean, nearest } from '../lib/nearest.ts';
import { variableNameProblem } from '../lib/variable-name.ts';
import { ansibleOthers, ansibleWords, connectionSynonyms } from './habits.ts';
import { expandRange, maxHosts } from './range.ts';
import { connectionWords, type GroupNode, type Vars } from './schema.ts';

export interface DraftGroup {
  name: string;
  hosts: Set<string>;
  children: Set<string>;
  vars: Record<string, unknown>;
  /** where each variable's value stands */
  places: Map<string, Path>;
  /** where it is first mentioned */
  path: Path;
}

export interface DraftHost {
  vars: Record<string, unknown>;
  places: Map<string, Path>;
  path: Path;
}

const hostName = /^[A-Za-z0-9_][A-Za-z0-9._:-]*$/;
const groupName = /^[A-Za-z_][A-Za-z0-9_-]*$/;
const maxProblems = 50;
/** Most groups from `all` to a host. */
const maxGroupDepth = 32;

/** The nested groups of a file as flat tables; a group or host mentioned again is merged. What is wrong is collected. */
export class GroupTree {
  readonly groups = new Map<string, DraftGroup>();
  readonly hosts = new Map<string, DraftHost>();
  readonly problems: Diagnostic[] = [];
  /** what is allowed and most likely not meant */
  readonly warnings: Diagnostic[] = [];
  readonly #file: YamlFile;

  constructor(file: YamlFile, all: GroupNode) {
    this.#file = file;
    this.#addGroup('all', all, ['all'], []);
    if (this.hosts.size === 0 && this.problems.length === 0)
      this.#problem(['all'], 'the inventory names no host', 'add one below all.hosts: `hv01:`');
    if (this.problems.length === 0) this.#refuseDeepGroups();
    this.#addUngrouped();
    this.#refuseSharedNames();
  }

  #addGroup(name: string, node: GroupNode | null, path: Path, ancestors: readonly string[]): void {
    if (ancestors.includes(name)) {
      const chain = [...ancestors.slice(ancestors.indexOf(name)), name].join(' → ');
      this.#problem(path, `the group ${name} contains itself: ${chain}`);
      return;
    }
    const group = this.#group(name, path);
    this.#checkVars(node?.vars, [...path, 'vars']);
    assign(group, node?.vars, placesOf(node?.vars, [...path, 'vars']));
    for (const [pattern, vars] of Object.entries(node?.hosts ?? {}))
      this.#addHosts(group, pattern, vars, [...path, 'hosts', pattern]);
    for (const [child, below] of Object.entries(node?.children ?? {})) {
      const childPath = [...path, 'children', child];
      if (!groupName.test(child)) {
        this.#problem(childPath, `"${child}" can not be the name of a group: letters, digits, _ and - only`);
        continue;
      }
      this.#addGroup(child, below, childPath, [...ancestors, name]);
      group.children.add(child);
      this.#refuseCycle(name, child, childPath);
    }
  }

  #group(name: string, path: Path): DraftGroup {
    let group = this.groups.get(name);
    if (group === undefined) {
      group = { name, hosts: new Set(), children: new Set(), vars: {}, places: new Map(), path };
      this.groups.set(name, group);
    }
    return group;
  }

  #addHosts(group: DraftGroup, pattern: string, vars: Vars | null, path: Path): void {
    this.#checkVars(vars, path);
    let names: string[];
    try {
      names = expandRange(pattern, maxHosts);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      this.#problem(path, error.message);
      return;
    }
    // The hosts of a range share what is written once.
    const places = placesOf(vars, path);
    for (const name of names) {
      if (!hostName.test(name) || name.length > 255) {
        this.#problem(
          path,
          `"${name}" can not be the name of a host`,
          'letters, digits, . _ : and -, not at the front',
        );
        return;
      }
      let host = this.hosts.get(name);
      if (host === undefined) {
        if (this.hosts.size >= maxHosts) {
          this.#problem(path, `more than ${maxHosts} hosts`);
          return;
        }
        host = { vars: {}, places: new Map(), path };
        this.hosts.set(name, host);
      }
      assign(host, vars, places);
      group.hosts.add(name);
    }
  }

  /** A group mentioned in two places can close a circle that no single branch of the file shows. */
  #refuseCycle(parent: string, child: string, path: Path): void {
    const way = this.#way(child, parent, new Set(), 0);
    if (way === undefined || this.problems.some((p) => p.message.includes('contains itself'))) return;
    this.#problem(path, `the group ${parent} contains itself: ${[parent, ...way].join(' → ')}`);
  }

  #way(from: string, to: string, seen: Set<string>, depth: number): string[] | undefined {
    if (from === to) return [to];
    // Longer ones are refused as too deep.
    if (seen.has(from) || depth > maxGroupDepth) return undefined;
    seen.add(from);
    for (const child of this.groups.get(from)?.children ?? []) {
      const rest = this.#way(child, to, seen, depth + 1);
      if (rest !== undefined) return [from, ...rest];
    }
    return undefined;
  }

  /** A group mentioned in two places also makes a chain that no single branch of the file shows. */
  #refuseDeepGroups(): void {
    let level = new Set(['all']);
    for (let depth = 0; level.size > 0; depth++) {
      const [first] = level;
      if (depth > maxGroupDepth) {
        this.#problem(this.groups.get(first!)!.path, `groups are nested deeper than ${maxGroupDepth}`);
        return;
      }
      level = new Set([...level].flatMap((name) => [...(this.groups.get(name)?.children ?? [])]));
    }
  }

  #checkVars(vars: Vars | null | undefined, path: Path): void {
    for (const name of Object.keys(vars ?? {})) {
      const at = this.#file.positionOf([...path, name], 'key');
      if (name.startsWith('ansible_')) {
        const ours = ansibleWords[name];
        this.#push(
          this.#file.finding(
            'E_UNKNOWN_KEY',
            at,
            `${name} is Ansible's word`,
            ours
              ? `write ${ours}`
              : (ansibleOthers[name] ?? `connection variables are ${connectionWords.join(', ')}`),
          ),
        );
        continue;
      }
      const problem = variableNameProblem(name);
      if (problem !== undefined)
        this.#push(this.#file.finding('E_INVENTORY', at, problem, didYouMean(name, connectionWords)));
      else this.#warnOfNearWord(name, vars!, at);
    }
  }

  /** Variables of the operator's own may have any name; one that was meant as a connection word leaves the host unreached. */
  #warnOfNearWord(name: string, vars: Vars, at: SourcePosition): void {
    const near = Object.hasOwn(connectionSynonyms, name) ? connectionSynonyms[name]! : mistyped(name);
    // Where the word itself stands beside it, it is the operator's own.
    if (near === undefined || Object.hasOwn(vars, near) || this.warnings.length >= maxProblems) return;
    const message = `${name} is a variable of your own here and says nothing of the connection`;
    const hint = `if ${near} is meant, write ${near}`;
    this.warnings.push(this.#file.finding('E_UNKNOWN_KEY', at, message, hint));
  }

  /** Hosts that stand only in `all` are `ungrouped`, which lies directly below it. */
  #addUngrouped(): void {
    const grouped = new Set<string>();
    for (const group of this.groups.values())
      if (group.name !== 'all' && group.name !== 'ungrouped')
        for (const host of group.hosts) grouped.add(host);
    const ungrouped = this.#group('ungrouped', ['all']);
    for (const host of this.hosts.keys()) if (!grouped.has(host)) ungrouped.hosts.add(host);
    this.groups.get('all')!.children.add('ungrouped');
  }

  #refuseSharedNames(): void {
    for (const name of this.groups.keys()) {
      const host = this.hosts.get(name);
      if (host !== undefined)
        this.#problem(
          host.path,
          `${name} is the name of a host and of a group`,
          'patterns could not tell them apart',
        );
    }
  }

  #problem(path: Path, message: string, hint?: string): void {
    this.#push(this.#file.finding('E_INVENTORY', this.#file.positionOf(path, 'key'), message, hint));
  }

  #push(problem: Diagnostic): void {
    if (this.problems.length < maxProblems) this.problems.push(problem);
  }
}

/** The connection word that a name of five letters or more is mistyped from; a plural is a name of its own. */
function mistyped(name: string): string | undefined {
  const words: readonly string[] = connectionWords;
  if (name.length < 5 || words.includes(name) || words.includes(name.replace(/(e?s|_?\d+)$/, '')))
    return undefined;
  return nearest(name, words);
}

function placesOf(vars: Vars | null | undefined, path: Path): Map<string, Path> {
  return new Map(Object.keys(vars ?? {}).map((name) => [name, [...path, name]]));
}

/** A later mention wins over an earlier one. */
function assign(
  owner: { vars: Record<string, unknown>; places: Map<string, Path> },
  vars: Vars | null | undefined,
  places: ReadonlyMap<string, Path>,
): void {
  Object.assign(owner.vars, vars);
  for (const [name, path] of places) owner.places.set(name, path);
}
