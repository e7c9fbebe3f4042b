import { type Document, isAlias, isMap, isScalar, isSeq, type Node, type YAMLMap } from 'yaml';
import type { Diagnostic } from '../lib/errors.ts';
import { maxDepth, maxProblems, type SourceText } from './source.ts';

const maxNodes = 200_000;
const forbiddenKeys = new Set(['__proto__', 'constructor', 'prototype']);

/** `size` counts values with aliases followed, `depth` the levels below: a bomb is seen without being blown up. */
interface Converted {
  value: unknown;
  size: number;
  depth: number;
}

const nothing: Converted = { value: null, size: 1, depth: 0 };

/** Whole numbers beyond 2^53 would be rounded, and numbers beyond the largest become infinite. */
function losesDigits(value: number, source: string): boolean {
  if (/^[-+]?\.(inf|nan)$/i.test(source)) return false;
  return (
    !Number.isFinite(value) || (/^[-+]?(\d+|0[xo][0-9a-f]+)$/i.test(source) && !Number.isSafeInteger(value))
  );
}

/** Makes plain values of nodes, an alias and its anchor one object; what must not be is noted with its place. */
export class Converter {
  readonly problems: Diagnostic[] = [];
  readonly #source: SourceText;
  readonly #document: Document;
  readonly #done = new Map<Node, Converted>();
  readonly #open = new Set<Node>();

  constructor(source: SourceText, document: Document) {
    this.#source = source;
    this.#document = document;
  }

  convert(root: Node | null): unknown {
    const { value, size } = this.#convert(root, 0);
    if (size > maxNodes && root !== null)
      this.#refuse(root, `more than ${maxNodes} values once aliases are followed`, 'use fewer aliases');
    return value;
  }

  #convert(node: Node | null, level: number): Converted {
    if (node === null) return nothing;
    const known = this.#done.get(node);
    if (known !== undefined) {
      if (level + known.depth > maxDepth)
        this.#refuse(node, `nested deeper than ${maxDepth} through aliases`);
      return known;
    }
    if (this.#open.has(node)) {
      this.#refuse(node, 'this value contains itself');
      return nothing;
    }
    if (level > maxDepth) {
      this.#refuse(node, `nested deeper than ${maxDepth}`);
      return nothing;
    }
    this.#open.add(node);
    const result = this.#fresh(node, level);
    this.#open.delete(node);
    this.#done.set(node, result);
    return result;
  }

  #fresh(node: Node, level: number): Converted {
    if (isAlias(node)) {
      const target = node.resolve(this.#document);
      if (target === undefined) this.#refuse(node, `no anchor is named "${node.source}"`);
      return this.#convert(target ?? null, level);
    }
    if (node.tag !== undefined) this.#refuseTag(node);
    if (isScalar(node)) {
      if (typeof node.value === 'string' && node.value.includes('\0'))
        this.#refuse(node, 'a string can not hold a NUL character');
      if (typeof node.value === 'number' && losesDigits(node.value, node.source ?? ''))
        this.#refuse(node, `the number ${node.source} can not be kept exactly`, `quote it: "${node.source}"`);
      return { value: node.value, size: 1, depth: 0 };
    }
    const total = { size: 1, depth: 0 };
    const child = (item: unknown): unknown => {
      const result = this.#convert((item ?? null) as Node | null, level + 1);
      total.size = Math.min(total.size + result.size, maxNodes * 2);
      total.depth = Math.max(total.depth, result.depth + 1);
      return result.value;
    };
    const value = isSeq(node) ? node.items.map(child) : this.#map(node as YAMLMap, child);
    return { value, ...total };
  }

  #map(node: YAMLMap, child: (item: unknown) => unknown): Record<string, unknown> {
    const map: Record<string, unknown> = {};
    for (const pair of node.items) {
      const key = this.#key(pair.key as Node | null, node);
      const value = child(pair.value);
      if (key === undefined) continue;
      if (Object.hasOwn(map, key)) this.#refuse(pair.key as Node, 'this key stands twice in the same map');
      map[key] = value;
    }
    return map;
  }

  #key(node: Node | null, owner: Node): string | undefined {
    const key = isAlias(node) ? node.resolve(this.#document) : node;
    if (isMap(key) || isSeq(key))
      return this.#refuse(
        key,
        'a key can not be a map or a list',
        'a value that begins with {{ needs quotes: "{{ name }}"',
      );
    if (key?.tag !== undefined) this.#refuseTag(key);
    if (!isScalar(key) || key.value === null) return this.#refuse(node ?? owner, 'a key is missing here');
    if (typeof key.value !== 'string') {
      const written = key.source ?? String(key.value);
      return this.#refuse(key, `the key ${written} is no string`, `quote it: "${written}"`);
    }
    if (forbiddenKeys.has(key.value)) return this.#refuse(key, `"${key.value}" can not be a key`);
    if (key.value === '<<')
      return this.#refuse(
        key,
        'merge keys (<<) are not supported',
        'write the keys out; an alias for a whole value works',
      );
    return key.value;
  }

  /** The parser's range begins behind the tag. */
  #refuseTag(node: Node): void {
    if (this.problems.length >= maxProblems) return;
    const start = node.range?.[0] ?? 0;
    const tag = /!\S*\s+(?:&\S+\s+)?$/.exec(this.#source.text.slice(Math.max(0, start - 300), start));
    const at = this.#source.at(start - (tag?.[0].length ?? 0));
    this.problems.push(
      this.#source.finding('E_YAML', at, 'tags are not supported', 'write the value without !tag'),
    );
  }

  #refuse(node: Node, message: string, hint?: string): undefined {
    if (this.problems.length >= maxProblems) return;
    const at = this.#source.at(node.range?.[0] ?? 0);
    this.problems.push(this.#source.finding('E_YAML', at, message, hint));
  }
}
