/**
 * XML as libvirt prints it, read with the places of everything, so that an edit changes what it means to change and not a
 * byte beside it. Text is latin1, a character a byte. No document types, no processing instructions, no entities of one's
 * own: libvirt prints none, so what has them is not libvirt's.
 */
export interface Element {
  name: string;
  attributes: readonly Attribute[];
  children: readonly Element[];
  /** text directly below it, decoded, without that of its children */
  text: string;
  /** from `<` of its first tag to after `>` of its last */
  start: number;
  end: number;
  /** after `>` of its first tag */
  open: number;
  /** `<` of its last tag; of an element that is one tag, `open` */
  close: number;
}

export interface Attribute {
  name: string;
  /** decoded */
  value: string;
  /** from the white space before its name to after its closing quote */
  start: number;
  end: number;
}

/** A replacement of a part of the text. */
export interface Edit {
  start: number;
  end: number;
  text: string;
}

const MAX_DEPTH = 40;
const MAX_ELEMENTS = 50_000;
const NAME = /[A-Za-z_][\w:.-]*/y;
const SPACE = /[ \t\r\n]*/y;
const entities: Readonly<Record<string, string>> = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" };

/** What does not read as XML of libvirt; `at` is the place in the text. */
export class XmlError extends Error {
  constructor(
    message: string,
    readonly at: number,
  ) {
    super(`${message} at byte ${at}`);
  }
}

/**
 * Reads documents that follow each other, with nothing but white space and comments between.
 * @throws XmlError on anything that is not well-formed, nested deeper than 40, or more than 50 000 elements
 */
export function parseDocuments(text: string): Element[] {
  return new Reader(text).documents();
}

class Reader {
  private at = 0;
  private elements = 0;

  constructor(private readonly text: string) {}

  documents(): Element[] {
    const roots: Element[] = [];
    for (;;) {
      this.match(SPACE);
      if (this.at === this.text.length) return roots;
      if (this.text.startsWith('<!--', this.at)) this.comment();
      else roots.push(this.element(0));
    }
  }

  private element(depth: number): Element {
    if (depth > MAX_DEPTH) throw this.error('elements are nested too deep');
    if (++this.elements > MAX_ELEMENTS) throw this.error('too many elements');
    const start = this.at;
    this.expect('<');
    const name = this.name();
    const attributes = this.attributes();
    if (this.text.startsWith('/>', this.at)) {
      this.at += 2;
      return { name, attributes, children: [], text: '', start, end: this.at, open: this.at, close: this.at };
    }
    this.expect('>');
    const open = this.at;
    const { children, text } = this.content(depth);
    const close = this.at;
    this.expect(`</${name}`);
    this.match(SPACE);
    this.expect('>');
    return { name, attributes, children, text, start, end: this.at, open, close };
  }

  private content(depth: number): Pick<Element, 'children' | 'text'> {
    const children: Element[] = [];
    let text = '';
    for (;;) {
      const next = this.text.indexOf('<', this.at);
      if (next < 0) throw this.error('an element has no end');
      text += this.decode(this.at, next);
      this.at = next;
      if (this.text.startsWith('</', next)) return { children, text };
      if (this.text.startsWith('<!--', next)) this.comment();
      else if (this.text.startsWith('<![CDATA[', next)) {
        const end = this.text.indexOf(']]>', next);
        if (end < 0) throw this.error('a CDATA section has no end');
        text += this.text.slice(next + 9, end);
        this.at = end + 3;
      } else children.push(this.element(depth + 1));
    }
  }

  private attributes(): Attribute[] {
    const attributes: Attribute[] = [];
    for (;;) {
      const start = this.at;
      const space = this.match(SPACE);
      if (this.text.startsWith('>', this.at) || this.text.startsWith('/>', this.at)) return attributes;
      if (space === '') throw this.error('no space before an attribute');
      const name = this.name();
      this.match(SPACE);
      this.expect('=');
      this.match(SPACE);
      const quote = this.text[this.at];
      if (quote !== '"' && quote !== "'") throw this.error('an attribute has no quotes');
      const end = this.text.indexOf(quote, this.at + 1);
      if (end < 0) throw this.error('an attribute has no end');
      const value = this.decode(this.at + 1, end);
      if (this.text.slice(this.at, end).includes('<')) throw this.error('< in an attribute');
      if (attributes.some((other) => other.name === name)) throw this.error('an attribute is there twice');
      this.at = end + 1;
      attributes.push({ name, value, start, end: this.at });
    }
  }

  private comment(): void {
    const end = this.text.indexOf('-->', this.at + 4);
    if (end < 0) throw this.error('a comment has no end');
    this.at = end + 3;
  }

  private decode(start: number, end: number): string {
    return this.text.slice(start, end).replace(/&([^;&]{0,10};)?/g, (whole, body?: string) => {
      const word = body?.slice(0, -1) ?? '';
      const code = /^#x[0-9a-f]+$/i.test(word)
        ? Number.parseInt(word.slice(2), 16)
        : /^#\d+$/.test(word)
          ? Number(word.slice(1))
          : undefined;
      const known = Object.hasOwn(entities, word) ? entities[word] : undefined;
      const decoded = known ?? (code !== undefined && code > 0 && code <= 0x10ffff ? utf8(code) : undefined);
      if (decoded === undefined) throw new XmlError(`${whole} is no entity`, start);
      return decoded;
    });
  }

  private name(): string {
    const name = this.match(NAME);
    if (name === '') throw this.error('no name');
    return name;
  }

  private match(pattern: RegExp): string {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text)?.[0] ?? '';
    this.at += found.length;
    return found;
  }

  private expect(word: string): void {
    if (!this.text.startsWith(word, this.at)) throw this.error(`no ${word}`);
    this.at += word.length;
  }

  private error(message: string): XmlError {
    return new XmlError(message, this.at);
  }
}

/** A character as its bytes in UTF-8, each a latin1 character, as the text around it is. */
function utf8(code: number): string {
  return Buffer.from(String.fromCodePoint(code), 'utf8').toString('latin1');
}

/** The first child of that name. */
export function child(element: Element | undefined, name: string): Element | undefined {
  return element?.children.find((other) => other.name === name);
}

export function attribute(element: Element | undefined, name: string): string | undefined {
  return element?.attributes.find((other) => other.name === name)?.value;
}

/** Text with all edits made; they must not overlap. Of those at one place insertions come first, in their order. */
export function applyEdits(text: string, edits: readonly Edit[]): string {
  let result = '';
  let at = 0;
  for (const edit of [...edits].sort((a, b) => a.start - b.start || a.end - b.end)) {
    if (edit.start < at) throw new RangeError('edits overlap');
    result += text.slice(at, edit.start) + edit.text;
    at = edit.end;
  }
  return result + text.slice(at);
}

/** Edits that give an element these attributes; null takes one away, and what is as it shall be is left. */
export function setAttributes(
  element: Element,
  wanted: Readonly<Record<string, string | null>>,
  text: string,
): Edit[] {
  const edits: Edit[] = [];
  const nameEnd = element.start + 1 + element.name.length;
  // Behind the last attribute that is there: libvirt orders them itself.
  const behind = element.attributes.at(-1)?.end ?? nameEnd;
  let added = '';
  for (const [name, value] of Object.entries(wanted)) {
    const there = element.attributes.find((other) => other.name === name);
    if (!there && value !== null) added += ` ${name}='${escapeXml(value)}'`;
    else if (there && value === null) edits.push({ start: there.start, end: there.end, text: '' });
    else if (there && there.value !== value)
      edits.push({
        start: there.start,
        end: there.end,
        text: `${/^\s*/.exec(text.slice(there.start))![0]}${name}='${escapeXml(value!)}'`,
      });
  }
  if (added !== '') edits.push({ start: behind, end: behind, text: added });
  return edits;
}

/** Any text as it may stand in an attribute or an element. */
export function escapeXml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll("'", '&apos;')
    .replaceAll('"', '&quot;');
}
