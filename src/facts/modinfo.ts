/** What modinfo tells of a module file. */
export interface ModuleFile {
  /** its path, or '(builtin)' */
  filename: string;
  version: string;
  srcversion: string;
  vermagic: string;
  /** CN of the signer, '' where the file is unsigned */
  signer: string;
  /** parameter → type as modinfo names it (int, bool, charp, …); '' where it names none */
  parameters: ReadonlyMap<string, string>;
}

/**
 * Parses the output of `modinfo FILE`: `key:   value` lines, `parm:  name:text (type)` a parameter.
 * @returns undefined when it names no file
 */
export function parseModinfo(text: string): ModuleFile | undefined {
  const values = new Map<string, string>();
  const parameters = new Map<string, string>();
  for (const line of text.split('\n')) {
    const match = /^([a-z_]+):\s*(.*)$/.exec(line);
    if (!match) continue;
    const [, key = '', value = ''] = match;
    if (key === 'parm') {
      const parameter = /^([A-Za-z0-9_-]+):(.*?)(?:\s*\(([^()]*)\))?$/.exec(value);
      if (parameter && parameters.size < 500)
        parameters.set(parameter[1]!, parameter[3] ?? parameters.get(parameter[1]!) ?? '');
    } else if (!values.has(key)) values.set(key, value.slice(0, 512));
  }
  const filename = values.get('filename');
  if (!filename) return undefined;
  const value = (key: string) => values.get(key) ?? '';
  return {
    filename,
    version: value('version'),
    srcversion: value('srcversion'),
    vermagic: value('vermagic'),
    signer: value('signer'),
    parameters,
  };
}
