import { Liquid } from 'liquidjs';

/** Filters that would make two plans of the same files differ, or that have no use in configuration files. */
const unwantedFilters = [
  'sample',
  'date',
  'date_to_xmlschema',
  'date_to_rfc822',
  'date_to_string',
  'date_to_long_string',
  'raw',
  'inspect',
];
/** Tags that reach other files, or that write into the variables they are given. */
const unwantedTags = ['include', 'render', 'layout', 'block', 'increment', 'decrement'];

const noFiles = () => {
  throw new Error('templates can not reach other files');
};

let engine: Liquid | undefined;

/** The one template engine: strict, without files, with caps on what a template may cost. */
export function liquid(): Liquid {
  if (engine !== undefined) return engine;
  engine = new Liquid({
    strictVariables: true,
    strictFilters: true,
    // Top-level names are checked before rendering; this leaves `{% if a.b %}` and `| default:` for keys that may lack.
    lenientIf: true,
    ownPropertyOnly: true,
    cache: false,
    relativeReference: false,
    // Asking the machine for its locale costs 30 ms; nothing here depends on it.
    locale: 'en-US',
    parseLimit: 2 * 1024 * 1024,
    memoryLimit: 16 * 1024 * 1024,
    renderLimit: 3_000,
    outputEscape: printableOutput,
    fs: {
      readFileSync: noFiles,
      readFile: noFiles,
      existsSync: () => false,
      exists: async () => false,
      contains: async () => false,
      containsSync: () => false,
      resolve: noFiles,
    },
  });
  for (const tag of unwantedTags) delete engine.tags[tag];
  for (const filter of unwantedFilters) engine.unregisterFilter(filter);
  return engine;
}

/** Only scalars become text: a map would print as [object Object], nothing as an empty string. */
function printableOutput(value: unknown): string {
  if (typeof value === 'string') return value;
  if (typeof value === 'number' || typeof value === 'boolean' || typeof value === 'bigint')
    return String(value);
  if (value === null || value === undefined)
    throw new Error('the value is empty; write `| default: "…"` for what should stand instead');
  throw new Error(
    `the value is a ${Array.isArray(value) ? 'list' : 'map'}; write \`| json\` or \`| join: ","\``,
  );
}
