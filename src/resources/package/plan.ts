import type { FactsPatch, HostFacts } from '../../facts/facts.ts';
import type { Change, ResourcePlan } from '../kind.ts';
import type { PackageManager, PackageRequest, PackageState } from './manager.ts';

/** What has to be done about one request; nothing where both lists are empty. */
export interface PackageWork {
  install: readonly string[];
  remove: readonly string[];
}

export function packageWork(request: PackageRequest, state: PackageState): PackageWork {
  const status = (name: string) => state.packages.get(name)?.status ?? 'absent';
  return {
    install: request.present ? request.names.filter((name) => status(name) !== 'installed') : [],
    remove: request.present ? [] : request.names.filter((name) => status(name) !== 'absent'),
  };
}

export function planPackages(
  request: PackageRequest,
  state: PackageState,
  facts: HostFacts,
  managers: ReadonlyMap<string, PackageManager>,
): ResourcePlan {
  const { manager: id, healthy } = facts.packages;
  const manager = managers.get(id);
  if (!manager) return unsupported(id, [...managers.keys()]);
  if (!state.answered) {
    return {
      status: 'blocked',
      code: 'E_PROBE',
      message: `${id} is there, but its database of packages did not answer`,
      hint: manager.repairHint,
    };
  }
  const { install, remove } = packageWork(request, state);
  const unhealthy = `the state of ${id} is broken: a package is only half installed`;
  if (install.length + remove.length === 0) {
    const reason = `${request.names.join(', ')} ${request.present ? 'installed' : 'absent'}`;
    return { status: 'ok', reason, ...(healthy ? {} : { warnings: [unhealthy] }) };
  }
  if (!healthy) return { status: 'blocked', code: 'E_BLOCKED', message: unhealthy, hint: manager.repairHint };

  // A removal that apt can not simulate might take anything along.
  const unknown = remove.filter((name) => !state.removed.includes(name));
  if (unknown.length > 0) {
    return {
      status: 'blocked',
      code: 'E_BLOCKED',
      message: `${id} does not say what removing ${unknown.join(', ')} would take along`,
      hint: `see what \`apt-get -s remove ${unknown.join(' ')}\` prints there`,
    };
  }
  const along = state.removed.filter((name) => !remove.includes(name));
  const changes = [
    ...install.map((name) => installChange(name, state)),
    ...remove.map((name) => removeChange(name, state, along)),
    ...along.map(
      (name): Change => ({
        path: `package.${name}`,
        from: 'present',
        to: 'absent',
        action: '-',
        reason: `needs ${remove.join(' or ')}, so it goes along`,
      }),
    ),
  ];
  const patch = headersPatch(install, [...remove, ...along], facts);
  const warnings = warningsFor(install, state, id);
  return {
    status: 'change',
    changes,
    ...(patch ? { facts: patch } : {}),
    ...(warnings.length > 0 ? { warnings } : {}),
  };
}

function unsupported(id: string, known: readonly string[]): ResourcePlan {
  if (id === 'none') {
    return {
      status: 'blocked',
      code: 'E_BLOCKED',
      message: 'no package manager was found on the host',
      hint: `supported: ${known.join(', ')}`,
    };
  }
  return {
    status: 'blocked',
    code: 'E_BLOCKED',
    message: `the package manager ${id} is detected, not supported yet`,
    hint: `supported: ${known.join(', ')}; install the packages another way and leave this task out with when:`,
  };
}

function installChange(name: string, state: PackageState): Change {
  const candidate = state.listsEmpty ? null : state.candidates.get(name);
  const broken = state.packages.get(name)?.status === 'broken';
  return {
    path: `package.${name}`,
    from: broken ? 'half installed' : 'absent',
    to: candidate ? `present (${candidate})` : 'present',
    action: broken ? '~' : '+',
  };
}

function removeChange(name: string, state: PackageState, along: readonly string[]): Change {
  const version = state.packages.get(name)?.version;
  const reason = along.length > 0 ? `takes along ${along.join(', ')}` : undefined;
  return {
    path: `package.${name}`,
    from: version ? `present (${version})` : 'present',
    to: 'absent',
    action: '-',
    ...(reason ? { reason } : {}),
  };
}

function warningsFor(install: readonly string[], state: PackageState, id: string): string[] {
  if (state.listsEmpty) return [];
  const unknown = install.filter((name) => state.candidates.get(name) === null);
  if (unknown.length === 0) return [];
  return [`${id} knows no ${unknown.join(', ')} yet: its lists are brought up to date before it installs`];
}

/** Debian's headers packages carry the release that they are for in their name. */
function headersPatch(
  install: readonly string[],
  remove: readonly string[],
  facts: HostFacts,
): FactsPatch | undefined {
  const releases = new Set(facts.kernel.installed.map((kernel) => kernel.release));
  const headersOf = (names: readonly string[]) =>
    names.flatMap((name) => {
      const release = /^linux-headers-(\d[^:]*)/.exec(name)?.[1];
      return release !== undefined && releases.has(release) ? [release] : [];
    });
  const headersAdded = headersOf(install);
  const headersRemoved = headersOf(remove);
  if (headersAdded.length + headersRemoved.length === 0) return undefined;
  return { headersAdded, headersRemoved };
}
