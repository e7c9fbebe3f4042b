#!/usr/bin/env node
import { setFlagsFromString } from 'node:v8';
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import type { LabAction, LabOptions } from './commands/lab.ts';
import { EXIT } from './exit-code.ts';
import { flagHint } from './flag-habits.ts';

// A run is over in seconds: by V8's own measure it spends a fifth of its CPU on optimising code that hardly runs again.
setFlagsFromString('--interrupt-budget=1000000');

// Only commander is loaded here: each command imports its work when it runs, so that --help stays quick.

interface FleetFlags {
  inventory: string;
  limit?: string;
  tags?: string;
  json?: boolean;
  check?: boolean;
  yes?: boolean;
  verbose: number;
  hostKeys: string;
  sshConfig?: string;
  knownHosts?: string[];
  format?: string;
  output?: string;
  askBecomePass?: boolean;
  becomePasswordFile?: string;
}

/** That of package.json, put in by the build. */
declare const BLKFLEET_VERSION: string;

/** For a flag that may be given again; `<file...>` would take the playbook behind it for one more file. */
const several = (value: string, before: string[] = []) => [...before, value];

/** For a flag that says one thing: a second one would silently take the place of the first. */
const once = (hint: string) => (value: string, before?: string) => {
  if (before !== undefined) throw new InvalidArgumentError(`It is given twice; ${hint}.`);
  return value;
};
const oneInventory = once('one inventory at a time');
const onePattern = once("several patterns are one: -l 'hv01:hv02'");

const reference = `
All words of playbooks and inventories: docs/playbooks.md, or \`blkfleet schema reference\`.`;

const exitCodes = `
Exit codes: 0 in sync or applied, 2 changes pending, 3 a host failed, 4 a host was unreachable and none failed,
64 the request is wrong (nothing was contacted), 70 a bug of ours, 130/143 interrupted.`;

function build(finish: (code: number) => void): Command {
  const program = new Command('blkfleet')
    .description(
      'Roll out kernel modules such as vhost_blk, and QEMU drive defaults, to hypervisor hosts over SSH.',
    )
    .version(BLKFLEET_VERSION)
    .exitOverride()
    .configureOutput({
      outputError: (text, write) => {
        const hint = flagHint(text);
        write(hint === undefined ? text : `${text.trimEnd()}\n  = ${hint}\n`);
      },
    })
    .showHelpAfterError('(try --help)')
    .addHelpText('after', `${exitCodes}\n${reference}`);
  const fleet = (name: string, summary: string) =>
    program
      .command(name)
      .description(summary)
      .requiredOption('-i, --inventory <file>', 'the inventory: hosts, groups, variables', oneInventory)
      .option('-l, --limit <pattern>', 'only these hosts: hypervisors, hv0*, a:b, a:&b, a:!b', onePattern)
      .option('--json', 'one JSON document on stdout')
      .option('-v, --verbose', 'say more; twice for all that steps print', (_, n: number) => n + 1, 0)
      .option('--host-keys <mode>', 'strict, or accept-new to trust hosts seen for the first time', 'strict')
      .option('--ssh-config <file>', 'as ssh -F')
      .option(
        '--known-hosts <file>',
        'instead of those of the ssh configuration; may be given again',
        several,
      )
      .option('-K, --ask-become-pass', 'ask once for the password that sudo wants')
      .option('--become-password-file <file>', 'its first line is the password that sudo wants');
  const playbook = (name: 'plan' | 'apply' | 'audit', summary: string) =>
    fleet(name, summary)
      .argument('<playbook>', 'a YAML playbook')
      .option(
        '-t, --tags <tags>',
        'only tasks with one of these tags, comma-separated',
        once('several tags are one list: -t one,two'),
      )
      .action(async (file: string, flags: FleetFlags) => {
        const { runCommand } = await import('./commands/run.ts');
        finish(await runCommand(flags.check ? 'plan' : name, file, flags));
      });
  playbook('plan', 'show what would change; touches nothing');
  playbook('apply', 'change it, then verify')
    .option('--check', 'only plan')
    .option('-y, --yes', 'do not ask before more than the canary is changed');
  playbook('audit', 'report drift, host by host, exceptions first')
    .option('--format <format>', 'table, json or junit (default: table)')
    .option('--output <file>', 'write the report there');
  fleet('facts', 'can every host be reached? what they tell about themselves; all of it with --json').action(
    async (flags: FleetFlags) => {
      const { factsCommand } = await import('./commands/run.ts');
      finish(await factsCommand(flags));
    },
  );
  addBench(fleet, finish);
  program
    .command('inventory')
    .description('the hosts, groups and variables of an inventory')
    .requiredOption('-i, --inventory <file>', 'the inventory', oneInventory)
    .option('-l, --limit <pattern>', 'only these hosts', onePattern)
    .option('--graph', 'as a tree of groups')
    .option('--json', 'one JSON document on stdout')
    .action(async (flags) => {
      const { inventoryCommand } = await import('./commands/inventory.ts');
      finish(await inventoryCommand(flags));
    });
  program
    .command('validate')
    .description('check playbooks, and an inventory with them; contacts nothing')
    .argument('<playbook...>', 'YAML playbooks')
    .option('-i, --inventory <file>', 'check variables and hosts too', oneInventory)
    .option('--json', 'one JSON document on stdout: what is wrong, and where')
    .addHelpText('after', reference)
    .action(async (files: string[], flags) => {
      const { validateCommand } = await import('./commands/validate.ts');
      finish(await validateCommand(files, flags));
    });
  program
    .command('schema')
    .description('JSON Schema of a playbook or an inventory, for editors; or the reference of both')
    .argument('<what>', 'playbook, inventory, or reference: docs/playbooks.md')
    .action(async (what: string) => {
      const { schemaCommand } = await import('./commands/schema.ts');
      finish(await schemaCommand(what));
    });
  addLab(program, finish);
  return program;
}

function addBench(fleet: (name: string, summary: string) => Command, finish: (code: number) => void): void {
  fleet(
    'bench',
    'how fast a disk of one host is by itself, and through each way that QEMU can give it to a guest',
  )
    .option(
      '--disk <device>',
      'an empty block device, written over as a whole; or ramdisk, made and removed',
      'ramdisk',
    )
    .option('--rw <list>', 'randread, randwrite', 'randread,randwrite')
    .option('--iodepth <n>', 'requests in flight on each queue', '128')
    .option('--vcpus <list>', 'virtual CPUs, each with a queue (default: of 1,2,4,8 what the host has)')
    .option('--runtime <seconds>', 'of each measurement', '5')
    .option('--rounds <n>', 'measurements of each, all ways in turn', '3')
    .option('--guest <how>', 'auto: where KVM works; no: a driver in user space; tcg: emulated, slow', 'auto')
    .option('--html <file>', 'a page with charts')
    .option('-y, --yes', 'do not ask before the disk is written over')
    .addHelpText('after', '\nWhat is measured and how: docs/bench.md.')
    .action(async (flags: FleetFlags) => {
      const { benchCommand } = await import('./commands/bench.ts');
      finish(await benchCommand(flags));
    });
}

function addLab(program: Command, finish: (code: number) => void): void {
  const lab = program
    .command('lab')
    .description('the lab host: a Debian 12 VM under QEMU on this machine, reached over SSH like any host');
  const action = (name: LabAction, summary: string) => {
    const command = lab
      .command(name)
      .description(summary)
      .addOption(new Option('--name <name>', 'one of several labs').default('lab').env('BLKFLEET_LAB'));
    return name === 'ssh' || name === 'inventory'
      ? command
      : command.option('--json', "the lab's status as one JSON document on stdout");
  };
  const run = (name: LabAction) => async (flags: LabOptions) => {
    const { labCommand } = await import('./commands/lab.ts');
    finish(await labCommand(name, flags));
  };
  action('up', 'make the lab host where there is none, boot it, and wait until it lets us in')
    .option('--kernel <line>', 'Debian kernel of a new lab: 6.1 (default), 6.12')
    .option('--accel <accel>', 'tcg (default), or kvm where it works')
    .action(run('up'));
  action('status', 'whether it runs, and how to reach it').action(run('status'));
  action('inventory', 'its inventory, to begin one of your own with').action(run('inventory'));
  action('ssh', 'a shell in it, or a command')
    .argument('[command...]', 'after `--`: a command and its arguments')
    .action((args: string[], flags: LabOptions) => run('ssh')({ ...flags, args }));
  action('reboot', 'boot it anew').action(run('reboot'));
  action('down', 'shut it down; its disk stays').action(run('down'));
  action('destroy', 'end it and remove its disk; downloads and images stay').action(run('destroy'));
}

/** Runs the CLI and returns its exit code; errors are told on stderr, never as a stack trace. */
async function main(argv: readonly string[]): Promise<number> {
  let code: number = EXIT.ok;
  try {
    await build((value) => {
      code = value;
    }).parseAsync(argv);
    return code;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    const { explain } = await import('./explain.ts');
    return explain(error);
  }
}

// A reader that leaves early, as `| head` does, is no error of ours: the run goes on to its own exit code, unread. A full
// disk is told where it still can be.
const failing = new Set<NodeJS.WriteStream>();
for (const stream of [process.stdout, process.stderr])
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (failing.has(stream)) return;
    failing.add(stream);
    if (error.code === 'EPIPE') return;
    if (stream === process.stdout)
      process.stderr.write(`blkfleet: stdout can not be written: ${error.code ?? error.message}\n`);
    unwritten = true;
  });
let unwritten = false;
let done = false;
// Nothing left to wait for, and no result: without a word this would end as Node's own status 13.
process.once('beforeExit', (code) => {
  if (done) return;
  process.stderr.write('blkfleet: this is a bug of ours: the run came to a standstill\n');
  process.exitCode = code || EXIT.bug;
});
process.once('exit', (code) => {
  // Nobody may take a result that was not delivered for 'in sync'.
  if (unwritten && code === EXIT.ok) process.exitCode = EXIT.bug;
});
process.exitCode = await main(process.argv);
done = true;
