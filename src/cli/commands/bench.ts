import { randomBytes } from 'node:crypto';
import { type BenchFlags, benchRequest, RAMDISK } from '../../bench/request.ts';
import { type BenchOutcome, runBench } from '../../bench/run.ts';
import type { Survey } from '../../bench/survey.ts';
import type { BenchReport } from '../../events/bench.ts';
import { loadInventory } from '../../inventory/load.ts';
import { selectHosts } from '../../inventory/pattern.ts';
import { FleetError } from '../../lib/errors.ts';
import { printable } from '../../lib/terminal.ts';
import { benchHtml } from '../../report/bench-html.ts';
import { jsonText } from '../../report/json.ts';
import { checkReportPath, writeReport } from '../../report/write.ts';
import { createTransport } from '../../transport/index.ts';
import { benchTexts, printBench } from '../../ui/bench-printer.ts';
import { confirm } from '../../ui/confirm.ts';
import { wantsColour } from '../../ui/paint.ts';
import { becomePassword } from '../become-password.ts';
import { EXIT } from '../exit-code.ts';
import { explain } from '../explain.ts';
import { interruptOnSignals } from '../interrupt.ts';
import { type ConnectionFlags, checkConnectionFiles, hostKeyMode } from './connection-flags.ts';
import { warn } from './validate.ts';

export interface BenchCommandFlags extends BenchFlags, ConnectionFlags {
  inventory: string;
  limit?: string | undefined;
  json?: boolean | undefined;
  html?: string | undefined;
  yes?: boolean | undefined;
}

/** `bench`: measures the ways to a disk on one host. Returns the exit code. @throws FleetError when the request is wrong */
export async function benchCommand(flags: BenchCommandFlags): Promise<number> {
  const request = benchRequest(flags);
  const hostKeys = hostKeyMode(flags);
  if (flags.html !== undefined) await checkReportPath(flags.html);
  await checkConnectionFiles(flags, hostKeys);
  const inventory = await loadInventory(flags.inventory);
  warn(inventory.warnings);
  const names = selectHosts(inventory, flags.limit ?? 'all');
  if (names.length > 1)
    throw new FleetError({
      code: 'E_USAGE',
      message: `bench measures one host, and ${names.length} are selected`,
      hint: `name one: -l ${names[0]}`,
    });
  const asks = request.disk !== RAMDISK && !flags.yes;
  if (asks && !(process.stdin.isTTY && process.stderr.isTTY))
    throw new FleetError({
      code: 'E_USAGE',
      message: `bench writes over all of ${request.disk}, and there is no terminal to ask on`,
      hint: 'say --yes',
    });
  const password = await becomePassword(flags);
  const host = inventory.hosts.get(names[0]!)!;
  const interrupt = interruptOnSignals(() =>
    process.stderr.write('ending what runs on the host; again: do not wait for it\n'),
  );
  const note = (text: string) => process.stderr.write(`${printable(host.name)}: ${text}\n`);
  const transport = createTransport({
    hostKeys,
    inventory: (name) => inventory.hosts.get(name),
    ...(flags.sshConfig === undefined ? {} : { sshConfigFile: flags.sshConfig }),
    ...(password === undefined ? {} : { becomePassword: async () => password }),
    ...(flags.knownHosts === undefined ? {} : { knownHostsFiles: flags.knownHosts }),
    onNotice: (_, text) => note(text),
  });
  const started = new Date().toISOString();
  try {
    const connection = await transport.connect(host, interrupt.signal);
    const outcome = await runBench({
      request,
      connection,
      signal: interrupt.signal,
      onNote: note,
      confirm: async (survey: Survey) =>
        !asks ||
        confirm(`Write over all of ${survey.disk?.device} of ${host.name}, which seems to be empty?`, {
          signal: interrupt.signal,
          onInterrupt: () => interrupt.raise('SIGINT'),
        }),
    });
    const ended = interrupt.exitCode();
    if (ended !== null) return ended;
    if (outcome === null) return EXIT.ok;
    const report = reportOf(host.name, started, outcome);
    await tell(report, flags);
    return report.results.some((result) => result.outcome === 'failed') ? EXIT.failed : EXIT.ok;
  } catch (error) {
    return interrupt.exitCode() ?? failureOf(host.name, error);
  } finally {
    await transport.close();
    interrupt.end();
  }
}

function reportOf(host: string, started: string, outcome: BenchOutcome): BenchReport {
  const id = `${Date.now().toString(36)}-${randomBytes(4).toString('hex')}`;
  return { command: 'bench', run: { id, started, finished: new Date().toISOString() }, host, ...outcome };
}

/** The table, or the document with the table on stderr for people; and the page. */
async function tell(report: BenchReport, flags: BenchCommandFlags): Promise<void> {
  const stream = flags.json ? process.stderr : process.stdout;
  stream.write(printBench(report, { columns: stream.columns || 120, colour: wantsColour(stream) }));
  if (flags.json) process.stdout.write(jsonText(report));
  if (flags.html === undefined) return;
  await writeReport(flags.html, benchHtml(report, benchTexts(report)));
}

/** What goes wrong with the host ends as that of other commands: 4 where it was not reached, else 3. */
function failureOf(host: string, error: unknown): number {
  if (!(error instanceof FleetError)) return explain(error);
  const [first, ...rest] = error.diagnostics;
  const code = explain(
    new FleetError([{ ...first!, host: first!.host ?? host }, ...rest], { cause: error.cause }),
  );
  if (code === EXIT.bug || code === EXIT.interrupted) return code;
  const unreachable = ['E_UNREACHABLE', 'E_TIMEOUT', 'E_HOST_KEY', 'E_AUTH'].includes(error.code);
  return error.code === 'E_FILE' || error.code === 'E_USAGE'
    ? EXIT.usage
    : unreachable
      ? EXIT.unreachable
      : EXIT.failed;
}
