export interface Element {
  tag: string;
  attributes: Record<string, string>;
  children: Element[];
}

const text = '(?:[^<&\\0-\\x08\\x0b\\x0c\\x0e-\\x1f\\ud800-\\udfff\\ufffe\\uffff]|&(?:amp|lt|gt|quot);)';
const attribute = ` ([a-z]+)="((?:(?!["\\n\\t])${text})*)"`;
const token = new RegExp(`<([a-z]+)((?:${attribute})*)(/?)>|</([a-z]+)>|${text}+`, 'uy');

/** Reads the subset of XML that reports use, strictly: throws on what XML 1.0 forbids. */
export function parseXml(xml: string): Element {
  const head = '<?xml version="1.0" encoding="UTF-8"?>\n';
  if (!xml.startsWith(head)) throw new Error('no XML declaration');
  const top: Element = { tag: '', attributes: {}, children: [] };
  const open = [top];
  token.lastIndex = head.length;
  while (token.lastIndex < xml.length) {
    const at = token.lastIndex;
    const match = token.exec(xml);
    if (!match) throw new Error(`not XML: ${JSON.stringify(xml.slice(at, at + 60))}`);
    const [, tag, attributes, , , empty, end] = match;
    if (end !== undefined && open.pop()?.tag !== end) throw new Error(`</${end}> closes nothing`);
    if (tag === undefined) continue;
    const element: Element = { tag, attributes: {}, children: [] };
    for (const [, name, value] of attributes!.matchAll(new RegExp(attribute, 'gu'))) {
      if (name! in element.attributes) throw new Error(`${name} stands twice`);
      element.attributes[name!] = value!;
    }
    open.at(-1)!.children.push(element);
    if (empty !== '/') open.push(element);
  }
  if (open.length !== 1 || top.children.length !== 1) throw new Error('not one closed root');
  return top.children[0]!;
}
