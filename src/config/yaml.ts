import { type Document, isAlias, isMap, isScalar, isSeq, type Node, type Scalar } from 'yaml';
import { type Diagnostic, type ErrorCode, FleetError, type SourcePosition } from '../lib/errors.ts';
import { Converter } from './convert.ts';
import { readText } from './read.ts';
import { SourceText } from './source.ts';

/** Keys and indices from the root of a document to a value. */
export type Path = readonly (string | number)[];

/** A YAML file as plain values, with the place of each. Aliases share one object, maps have string keys only. */
export interface YamlFile {
  /** as the operator gave it */
  path: string;
  value: unknown;
  /** Where a value, or the key that names it, begins; the nearest enclosing one when the path does not exist. */
  positionOf(path: Path, part?: 'key' | 'value'): SourcePosition;
  /** Where the character `offset` of a string value stands in the file. */
  positionInside(path: Path, offset: number): SourcePosition;
  /** The text of a scalar as it was written, e.g. `0644`, or undefined for maps and lists. */
  written(path: Path): string | undefined;
  /** A line of the file, from 1. */
  excerpt(line: number): string;
  /** A finding at a place of this file, its line included. */
  finding(code: ErrorCode, at: SourcePosition, message: string, hint?: string): Diagnostic;
}

/**
 * Reads a YAML 1.2 file with one document. Refused: duplicate keys, keys that are no strings or that could reach a
 * prototype, tags, merge keys, nesting deeper than 64, more than 200,000 values once aliases are followed.
 * @throws FleetError E_FILE or E_YAML, with all syntax errors at once
 */
export async function readYaml(path: string): Promise<YamlFile> {
  return parseYaml(path, await readText(path));
}

/** As readYaml, for text that is already here; `path` is for positions. */
export function parseYaml(path: string, text: string): YamlFile {
  const source = new SourceText(path, text);
  const document = source.parse();
  const converter = new Converter(source, document);
  const value = converter.convert(document.contents as Node | null);
  if (converter.problems.length > 0) throw new FleetError(converter.problems);
  return new ParsedYaml(source, document, value);
}

class ParsedYaml implements YamlFile {
  readonly path: string;
  readonly value: unknown;
  readonly #source: SourceText;
  readonly #document: Document;

  constructor(source: SourceText, document: Document, value: unknown) {
    this.path = source.path;
    this.value = value;
    this.#source = source;
    this.#document = document;
  }

  positionOf(path: Path, part: 'key' | 'value' = 'value'): SourcePosition {
    const { node, key, complete } = this.#find(path);
    const preferred = part === 'key' || !complete ? (key ?? node) : (node ?? key);
    return this.#source.at(preferred?.range?.[0] ?? 0);
  }

  positionInside(path: Path, offset: number): SourcePosition {
    const { node } = this.#find(path);
    const start = node?.range?.[0] ?? 0;
    if (!isScalar(node) || typeof node.value !== 'string') return this.#source.at(start);
    if (node.type === 'BLOCK_LITERAL') return this.#insideBlock(node, offset);
    const quote = node.type === 'PLAIN' ? 0 : 1;
    const asWritten = this.#source.text.startsWith(node.value, start + quote);
    return this.#source.at(asWritten ? start + quote + offset : start);
  }

  written(path: Path): string | undefined {
    const { node, complete } = this.#find(path);
    return complete && isScalar(node) ? (node.source ?? String(node.value)) : undefined;
  }

  excerpt(line: number): string {
    return this.#source.excerpt(line);
  }

  finding(code: ErrorCode, at: SourcePosition, message: string, hint?: string): Diagnostic {
    return this.#source.finding(code, at, message, hint);
  }

  /** A literal block keeps its lines: the row is counted from its header, the indentation read from the file. */
  #insideBlock(node: Scalar, offset: number): SourcePosition {
    const value = node.value as string;
    const before = value.slice(0, offset).split('\n');
    const line = this.#source.at(node.range?.[0] ?? 0).line + before.length;
    const text = value.split('\n')[before.length - 1] ?? '';
    const indent = Math.max(0, this.excerpt(line).indexOf(text));
    return { file: this.path, line, col: indent + before.at(-1)!.length + 1 };
  }

  #find(path: Path): { node: Node | null; key: Node | null; complete: boolean } {
    let node = this.#resolve(this.#document.contents as Node | null);
    let key: Node | null = null;
    for (const step of path) {
      if (isMap(node)) {
        const pair = node.items.find((one) => isScalar(one.key) && one.key.value === String(step));
        if (pair === undefined) return { node, key, complete: false };
        key = pair.key as Node;
        node = this.#resolve((pair.value ?? null) as Node | null);
      } else if (isSeq(node)) {
        const item = node.items[Number(step)] as Node | undefined;
        if (item === undefined) return { node, key, complete: false };
        key = item;
        node = this.#resolve(item);
      } else return { node, key, complete: false };
    }
    return { node, key, complete: true };
  }

  #resolve(node: Node | null): Node | null {
    return isAlias(node) ? (node.resolve(this.#document) ?? null) : node;
  }
}
