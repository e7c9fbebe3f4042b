import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { runFleet } from '../../engine/run.ts';
import type { Command, FleetEvent, RunReport } from '../../events/events.ts';
import { loadInventory } from '../../inventory/load.ts';
import { selectHosts } from '../../inventory/pattern.ts';
import { FleetError } from '../../lib/errors.ts';
import { bindPlaybook } from '../../playbook/bind.ts';
import type { BoundPlay } from '../../playbook/declaration.ts';
import { loadPlaybook } from '../../playbook/load.ts';
import { toJson } from '../../report/json.ts';
import { toJunit } from '../../report/junit.ts';
import { checkReportPath, writeReport } from '../../report/write.ts';
import { kinds } from '../../resources/index.ts';
import { createTransport } from '../../transport/index.ts';
import { printAudit } from '../../ui/audit-printer.ts';
import { confirm } from '../../ui/confirm.ts';
import { printFacts } from '../../ui/facts-printer.ts';
import { wantsColour } from '../../ui/paint.ts';
import { printPlan } from '../../ui/plan-printer.ts';
import { createProgress } from '../../ui/progress.ts';
import { printSummary } from '../../ui/summary-printer.ts';
import { becomePassword } from '../become-password.ts';
import { EXIT } from '../exit-code.ts';
import { interruptOnSignals } from '../interrupt.ts';
import { type ConnectionFlags, checkConnectionFiles, hostKeyMode, oneOf } from './connection-flags.ts';
import { warn } from './validate.ts';

export interface RunFlags extends ConnectionFlags {
  inventory: string;
  limit?: string | undefined;
  tags?: string | undefined;
  json?: boolean | undefined;
  yes?: boolean | undefined;
  verbose: number;
  format?: string | undefined;
  output?: string | undefined;
}

const formats = ['table', 'json', 'junit'] as const;
type Format = (typeof formats)[number];
type Verb = Extract<Command, 'plan' | 'apply' | 'audit' | 'facts'>;

/** `plan`, `apply` and `audit`: returns the exit code. @throws FleetError when the request is wrong */
export async function runCommand(command: Verb, file: string, flags: RunFlags): Promise<number> {
  const [playbook, inventory] = await Promise.all([loadPlaybook(file), loadInventory(flags.inventory)]);
  const plays = bindPlaybook(playbook, inventory, {
    limit: flags.limit,
    tags: flags.tags?.split(',').filter(Boolean),
  });
  warn([...inventory.warnings, ...playbook.warnings.list()]);
  return execute(command, flags, plays, inventory.hosts, file);
}

/** `facts`: one probe a host, no resources. */
export async function factsCommand(flags: RunFlags): Promise<number> {
  const inventory = await loadInventory(flags.inventory);
  warn(inventory.warnings);
  const hosts = selectHosts(inventory, flags.limit ?? 'all');
  const play: BoundPlay = {
    name: 'facts',
    index: 0,
    hosts,
    serial: [],
    maxFailPercentage: 100,
    declarations: () => [],
  };
  return execute('facts', flags, [play], inventory.hosts);
}

async function execute(
  command: Verb,
  flags: RunFlags,
  plays: readonly BoundPlay[],
  hosts: Parameters<typeof runFleet>[0]['hosts'],
  playbook?: string,
): Promise<number> {
  const format = oneOf('--format', flags.format ?? (flags.json ? 'json' : 'table'), formats);
  if (flags.json && format !== 'json')
    throw new FleetError({ code: 'E_USAGE', message: `--json and --format ${format} exclude each other` });
  const hostKeys = hostKeyMode(flags);
  if (flags.output !== undefined) await checkReportPath(flags.output);
  await checkConnectionFiles(flags, hostKeys);
  const password = await becomePassword(flags);
  const progress = createProgress({
    stream: process.stderr,
    verbose: flags.verbose,
    brief: tellsPeople(command, flags, format),
  });
  // Jobs on hosts go on by themselves.
  const interrupt = interruptOnSignals();
  const transport = createTransport({
    hostKeys,
    inventory: (name) => hosts.get(name),
    ...(flags.sshConfig === undefined ? {} : { sshConfigFile: flags.sshConfig }),
    ...(password === undefined ? {} : { becomePassword: async () => password }),
    ...(flags.knownHosts === undefined ? {} : { knownHostsFiles: flags.knownHosts }),
    onNotice: (host, text) => progress.sink({ at: Date.now(), type: 'warning', host, message: text }),
  });
  const page = { columns: process.stderr.columns || 100, colour: wantsColour(process.stderr) };
  const asks =
    command === 'apply' && !flags.yes && process.stdin.isTTY === true && process.stderr.isTTY === true;
  try {
    const outcome = await runFleet({
      command,
      runId: `${Date.now().toString(36)}-${randomBytes(4).toString('hex')}`,
      plays,
      hosts,
      kinds,
      transport,
      sink: (event: FleetEvent) => progress.sink(event),
      signal: interrupt.signal,
      ...(playbook === undefined ? {} : { playbook }),
      ...(asks
        ? {
            confirm: (plans, count) =>
              progress.suspend(async () => {
                process.stderr.write(printPlan(plans, page));
                return confirm(`Change ${count} host${count === 1 ? '' : 's'}?`, {
                  signal: interrupt.signal,
                  onInterrupt: () => interrupt.raise('SIGINT'),
                });
              }),
          }
        : {}),
    });
    await progress.stop();
    await tell(outcome.report, flags, format);
    writeStatistics(outcome.roundTrips);
    return interrupt.exitCode() ?? exitCode(outcome.report);
  } finally {
    await progress.stop();
    await transport.close();
    interrupt.end();
  }
}

/** Whether people read the report of a run, beside its progress. */
function tellsPeople(command: Verb, flags: RunFlags, format: Format): boolean {
  return flags.output === undefined && (format === 'table' || command !== 'facts');
}

/** The result goes to stdout, or to --output; beside JSON people read it on stderr. */
async function tell(report: RunReport, flags: RunFlags, format: Format): Promise<void> {
  const machine = format !== 'table';
  const stream = machine ? process.stderr : process.stdout;
  const page = { columns: stream.columns || 100, colour: wantsColour(stream), verbose: flags.verbose > 0 };
  const text =
    report.command === 'audit'
      ? printAudit(report, page)
      : report.command === 'plan'
        ? printPlan(report.hosts, page)
        : report.command === 'facts'
          ? printFacts(report, page)
          : printSummary(report, page);
  const document = format === 'json' ? toJson(report) : format === 'junit' ? toJunit(report) : text;
  if (flags.output !== undefined) await writeReport(flags.output, document);
  else process.stdout.write(document);
  if (machine && tellsPeople(report.command as Verb, flags, format)) process.stderr.write(text);
}

/** The exit code of a run, by the table of exit-code.ts: failures first, then unreachable, then pending. */
export function exitCode(report: RunReport): number {
  const { failed, unreachable, pending } = report.summary;
  if (failed > 0) return EXIT.failed;
  if (unreachable > 0) return EXIT.unreachable;
  return pending > 0 ? EXIT.pending : EXIT.ok;
}

/** What a benchmark can not see from outside, as JSON into $BLKFLEET_STATS. */
function writeStatistics(roundTrips: readonly number[]): void {
  const file = process.env.BLKFLEET_STATS;
  if (!file) return;
  const { user, system } = process.cpuUsage();
  const statistics = {
    roundTrips: { max: Math.max(0, ...roundTrips), hosts: roundTrips.length },
    cpuSeconds: (user + system) / 1e6,
    // Not ru_maxrss, which a process takes over from the one that started it.
    peakRssKiB: Number(/^VmHWM:\s*(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]),
  };
  writeFileSync(file, `${JSON.stringify(statistics)}\n`);
}
