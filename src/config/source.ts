import { type Document, isScalar, Lexer, LineCounter, type Node, Parser, parseAllDocuments } from 'yaml';
import { type Diagnostic, type ErrorCode, FleetError, type SourcePosition } from '../lib/errors.ts';

/** Deepest nesting of maps and lists that is read. */
export const maxDepth = 64;
/** Most lexemes that a file may have: words, signs, gaps and ends of lines. */
const maxLexemes = 400_000;
/** Most findings that are told of one file's syntax. */
export const maxProblems = 20;

/** The text of one YAML file: parses it, knows lines and columns. */
export class SourceText {
  readonly path: string;
  readonly text: string;
  readonly #lineCounter = new LineCounter();
  #lines: string[] | undefined;

  constructor(path: string, text: string) {
    this.path = path;
    this.text = text;
  }

  /** The place of an offset; columns count UTF-16 units, as editors do. Only after parse(). */
  at(offset: number): SourcePosition {
    const { line, col } = this.#lineCounter.linePos(Math.min(offset, this.text.length));
    return { file: this.path, line: Math.max(1, line), col: Math.max(1, col) };
  }

  excerpt(line: number): string {
    this.#lines ??= this.text.split(/\r?\n/);
    return this.#lines[line - 1] ?? '';
  }

  finding(code: ErrorCode, at: SourcePosition, message: string, hint?: string): Diagnostic {
    return { code, message, hint, at, excerpt: this.excerpt(at.line) };
  }

  /** @returns the one document of the file. @throws FleetError E_YAML with all syntax errors */
  parse(): Document {
    this.#refuseControlCharacters();
    this.#refuseDeepNesting();
    const documents = this.#documents();
    // A broken file can have an error at every character: only those that are told are worked on.
    const problems = documents
      .flatMap(({ errors, warnings }) => [...errors, ...warnings])
      .slice(0, 5 * maxProblems)
      .map(({ code, message, pos }) => this.#syntaxFinding(code, message, pos[0]));
    if (problems.length > 0) throw new FleetError(firstOfEachPlace(problems).slice(0, maxProblems));
    const [document, second] = documents;
    if (second !== undefined)
      throw this.#error(this.at(second.range[0]), 'a second document begins here', 'one document a file');
    if (document === undefined || isEmpty(document.contents as Node | null))
      throw this.#error(this.at(0), 'the file holds nothing');
    if (document.directives?.yaml.explicit === true && document.directives.yaml.version !== '1.2')
      throw this.#error(this.at(0), 'only YAML 1.2 is read', 'remove the %YAML line');
    return document;
  }

  #documents(): Document.Parsed[] {
    try {
      return parseAllDocuments(this.text, {
        lineCounter: this.#lineCounter,
        version: '1.2',
        schema: 'core',
        strict: true,
        // The parser compares each key with all before it; the converter finds what stands twice.
        uniqueKeys: false,
        merge: false,
        prettyErrors: false,
        logLevel: 'error',
      }) as Document.Parsed[];
    } catch (error) {
      // The parser recurses on nested collections; a file that exhausts the stack is far beyond the limit.
      if (error instanceof RangeError)
        throw this.#error({ file: this.path, line: 1, col: 1 }, `nested deeper than ${maxDepth}`);
      throw error;
    }
  }

  #refuseControlCharacters(): void {
    const offset = this.text.search(/[\0-\x08\x0b\x0c\x0e-\x1f\x7f]/);
    if (offset === -1) return;
    const at = this.#unparsedAt(offset);
    const code = this.text.charCodeAt(offset).toString(16).padStart(2, '0');
    throw this.#error(at, `control character 0x${code}`, `write it as "\\x${code}" in double quotes`);
  }

  /** Composing recurses, and the engine dies where it compiles an expression near the end of its stack: count first. */
  #refuseDeepNesting(): void {
    const parser = new Parser();
    let lexemes = 0;
    for (const lexeme of new Lexer().lex(this.text)) {
      if (++lexemes > maxLexemes)
        throw this.#error(
          this.#unparsedAt(parser.offset),
          `more than ${maxLexemes} words and signs up to here`,
        );
      for (const _ of parser.next(lexeme));
      // A level of YAML is up to two tokens; what is just too deep is found when values are made.
      if (parser.stack.length > 2 * maxDepth + 8)
        throw this.#error(
          this.#unparsedAt(tooDeep(this.text) || parser.offset),
          `nested deeper than ${maxDepth}`,
        );
    }
  }

  #unparsedAt(offset: number): SourcePosition {
    const before = this.text.slice(0, offset).split('\n');
    return { file: this.path, line: before.length, col: before.at(-1)!.length + 1 };
  }

  #syntaxFinding(code: string, message: string, offset: number): Diagnostic {
    if (code === 'RESOURCE_EXHAUSTION')
      return this.finding('E_YAML', this.at(tooDeep(this.text)), `nested deeper than ${maxDepth}`);
    // What is missing at the end of the file is shown behind its last word.
    const end = this.text.trimEnd().length;
    const at = this.at(Math.min(offset, end));
    const text = this.excerpt(at.line);
    if (code === 'TAB_AS_INDENT' || /^ *\t/.test(text))
      return this.finding('E_YAML', at, 'a tab can not indent YAML', 'use spaces');
    if (code === 'TAG_RESOLVE_FAILED')
      return this.finding('E_YAML', at, 'tags are not supported', 'write the value without !tag');
    const unquoted = /:\s+\{\{/.test(text)
      ? 'a value that begins with {{ needs quotes: "{{ name }}"'
      : undefined;
    return this.finding('E_YAML', at, message.replace(/\s+/g, ' '), unquoted);
  }

  #error(at: SourcePosition, message: string, hint?: string): FleetError {
    return new FleetError(this.finding('E_YAML', at, message, hint));
  }
}

function isEmpty(node: Node | null): boolean {
  return node === null || (isScalar(node) && node.value === null && (node.source ?? '') === '');
}

/** Where brackets are nested too deep, or the beginning where it is not brackets that nest. */
function tooDeep(text: string): number {
  let depth = 0;
  for (let offset = 0; offset < text.length; offset++) {
    const character = text[offset]!;
    if (character === '[' || character === '{') depth++;
    else if (character === ']' || character === '}') depth--;
    if (depth > maxDepth) return offset;
  }
  return 0;
}

/** One mistake often makes several errors at one place: the first one says it best. */
function firstOfEachPlace(problems: readonly Diagnostic[]): Diagnostic[] {
  const places = new Set<string>();
  return problems.filter(({ at }) => {
    const place = `${at?.line}:${at?.col}`;
    return !places.has(place) && places.add(place);
  });
}
