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

/** The same shape with a text for each leaf. */
type Texts<T> = {
  [K in keyof T]-?: T[K] extends string | boolean | number | null | readonly unknown[] ? string : Texts<T[K]>;
};

/** What each fact is. */
export const factTexts: Texts<HostFacts> = {
  hostname: "the host's own name; `inventory_hostname` is that of the inventory",
  uid: 'user id that tasks run with: 0 where they become root',
  kernel: {
    release: 'the running kernel, as `uname -r`',
    version: 'as `uname -v`',
    arch: 'as `uname -m`',
    tainted: "the kernel's taint flags as a number; 0 is untainted",
    bootId: 'another one after each boot',
    lockdown: '`none`, `integrity` or `confidentiality`; empty where the kernel has no lockdown',
    secureBoot: 'true, false, or null where the host can not tell',
    sigEnforce: 'modules need a signature that the kernel knows',
    installed:
      'the kernels that are installed, each a map of `release`, `headers` (modules can be built for it) and `image`',
  },
  os: {
    id: 'ID of /etc/os-release: `debian`, `ubuntu`',
    idLike: 'ID_LIKE: what it is derived from',
    versionId: 'VERSION_ID, a text: `"12"`',
    codename: 'VERSION_CODENAME',
    name: 'PRETTY_NAME',
  },
  packages: {
    manager: '`apt`, `dnf`, `zypper` or `none`',
    healthy: '`dpkg --audit` finds nothing',
  },
  systemd: 'systemd is the running init',
  cpus: 'CPUs that are online',
  memoryKiB: 'memory in KiB',
};

/** A fact: its path below `facts`, its CEL type, what it is. */
export interface Fact {
  path: string;
  type: string;
  text: string;
}

/** Every fact, in order. */
export const facts: readonly Fact[] = factsBelow(factsSchema, factTexts, '');

function factsBelow(types: object, texts: object, prefix: string): Fact[] {
  return Object.entries(types).flatMap(([name, type]) => {
    const text = (texts as Record<string, string | object>)[name]!;
    const path = `${prefix}${name}`;
    return typeof text === 'string' ? [{ path, type, text }] : factsBelow(type, text, `${path}.`);
  });
}
