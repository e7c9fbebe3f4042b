/** What docs/vhost_blk.md says that the module offers. */
export interface Documented {
  /** VIRTIO_* and VHOST_F_* names. */
  features: string[];
  /** Module parameter → its default. */
  parameters: Map<string, string>;
  /** Names of ioctls. */
  calls: string[];
  /** Lines of a virtqueue's file in debugfs; N stands for numbers. */
  counters: string[];
  tracepoints: string[];
}

/** Reads the tables of the page. */
export function readDocumented(markdown: string): Documented {
  const section = (title: string) =>
    new RegExp(`^## ${title}\n(.*?)(?=^## |$(?![\\s\\S]))`, 'ms').exec(markdown)?.[1] ?? '';
  const rows = (title: string) =>
    [...section(title).matchAll(/^\|(?!---)(.*)\|$/gm)].map((row) =>
      row[1]!.split('|').map((cell) => cell.trim()),
    );
  const quoted = (text: string) => [...text.matchAll(/`([^`]+)`/g)].map((found) => found[1]!);
  return {
    features: rows('Features').flatMap((cells) => quoted(cells[1] ?? '')),
    parameters: new Map(
      rows('To tune').flatMap((cells) => quoted(cells[0]!).map((name) => [name, cells[1] ?? ''])),
    ),
    calls: rows('Calls').flatMap((cells) => quoted(cells[0]!)),
    counters: rows('To see').flatMap((cells) => quoted(cells[0]!)),
    tracepoints: quoted(section('To see')).filter((name) => /^vhost_blk_/.test(name)),
  };
}

/** What `vhost-blk-check --features` printed: names of feature bits, and parameters with their values. */
export function readOffered(lines: readonly string[]): Pick<Documented, 'features' | 'parameters'> {
  const start = lines.indexOf('module parameters') + 1;
  const parameters = start > 0 ? lines.slice(start).map((line) => /^ {2}(\w+) +(\S+)$/.exec(line)) : [];
  return {
    features: lines.flatMap((line) => /^ {2}bit +\d+ +(.*)$/.exec(line)?.[1] ?? []),
    parameters: new Map(parameters.flatMap((found) => (found ? [[found[1]!, found[2]!] as const] : []))),
  };
}
