import type { HostFacts } from '../facts/facts.ts';

/** CEL types of a shape; what may also be null is dyn. */
type CelSchema<T> = {
  [K in keyof T]-?: T[K] extends string
    ? 'string'
    : T[K] extends boolean
      ? 'bool'
      : T[K] extends number
        ? 'int'
        : T[K] extends readonly string[]
          ? 'list<string>'
          : T[K] extends readonly unknown[]
            ? 'list<dyn>'
            : T[K] extends object
              ? CelSchema<T[K]>
              : 'dyn';
};

/** `facts` as conditions may use it; the compiler keeps it equal to HostFacts. */
export const factsSchema: CelSchema<HostFacts> = {
  hostname: 'string',
  uid: 'int',
  kernel: {
    release: 'string',
    version: 'string',
    arch: 'string',
    tainted: 'int',
    bootId: 'string',
    lockdown: 'string',
    secureBoot: 'dyn',
    sigEnforce: 'bool',
    installed: 'list<dyn>',
  },
  os: { id: 'string', idLike: 'list<string>', versionId: 'string', codename: 'string', name: 'string' },
  packages: { manager: 'string', healthy: 'bool' },
  systemd: 'bool',
  cpus: 'int',
  memoryKiB: 'int',
};

/** Every name in `facts`, at any depth, for hints. */
export const factNames: readonly string[] = namesIn(factsSchema);

function namesIn(schema: object): string[] {
  return Object.entries(schema).flatMap(([name, below]) => [
    name,
    ...(typeof below === 'object' ? namesIn(below) : []),
  ]);
}
