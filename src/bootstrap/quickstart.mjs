// `npm run quickstart`: from a clone to a host that runs vhost_blk, on a bare Debian machine with Node. Installs what is
// missing, builds the CLI, boots the lab host, applies playbooks/site.yaml to it twice. It keeps what is there: run it again
// at any time. Options: --name, --kernel and --accel, as of `blkfleet lab up`.
import { constants } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { installDebianPackages } from './debian-packages.mjs';
import { installNpmPackages } from './npm-packages.mjs';
import { debianPackages } from './packages.mjs';
import { run } from './run.mjs';

process.chdir(fileURLToPath(new URL('../..', import.meta.url)));

const cli = 'dist/cli.js';
const playbook = 'playbooks/site.yaml';
const times = [];

/** Ends the quickstart; what has to be said has been said. */
class Stop extends Error {
  constructor(status) {
    super(`stopped with ${status}`);
    this.status = status;
  }
}

try {
  await quickstart(options());
} catch (error) {
  if (!(error instanceof Stop)) throw error;
  process.exitCode = error.status;
}

async function quickstart({ name, kernel, accel }) {
  requireMachine();
  await phase('packages', async () => {
    const signal = { now: null };
    const note = (got) => {
      signal.now ??= got;
    };
    const names = ['SIGINT', 'SIGTERM', 'SIGHUP'];
    for (const one of names) process.on(one, note);
    const ok = (await installNpmPackages()) && (await installDebianPackages(debianPackages.quickstart));
    for (const one of names) process.off(one, note);
    if (signal.now) throw new Stop(128 + constants.signals[signal.now]);
    if (!ok) throw new Stop(1);
  });
  await phase('build', async () => check(await run(['node', 'src/bootstrap/build.mjs'])));
  const lab = await phase('lab host', async () => {
    const choice = Object.entries({ name, kernel, accel }).flatMap(([flag, value]) =>
      value ? [`--${flag}`, value] : [],
    );
    const up = await run(['node', cli, 'lab', 'up', ...choice, '--json'], { capture: true, own: true });
    check(up);
    const status = JSON.parse(up.stdout);
    console.log(`  Debian 12, kernel ${status.release}, sshd on ${status.address}:${status.port}`);
    return status;
  });
  const apply = (title) => phase(title, () => applyTo(lab.inventory));
  const first = await apply(`apply ${playbook}`);
  const second = await apply('apply it again: nothing is left to change');
  conclude(lab, first, second, name);
}

function options() {
  const usage = 'usage: npm run quickstart [-- --name NAME] [--kernel 6.1|6.12] [--accel tcg|kvm]';
  let values;
  try {
    const text = { type: 'string' };
    const known = { name: text, kernel: text, accel: text, help: { type: 'boolean', short: 'h' } };
    ({ values } = parseArgs({ options: known }));
  } catch (error) {
    console.error(`${error.message}\n${usage}`);
    throw new Stop(64);
  }
  if (values.help) {
    console.log(usage);
    throw new Stop(0);
  }
  return values;
}

function requireMachine() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major < 20 || (major === 20 && minor < 19)) {
    console.error(`this is Node ${process.versions.node}: 20.19 or newer is needed`);
    throw new Stop(1);
  }
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    console.error(
      `the lab host is an x86-64 Debian, made by Debian's own tools: this machine is ${process.platform} ${process.arch}.` +
        ` The CLI itself runs here: \`npm install && npm run build && node ${cli} --help\``,
    );
    throw new Stop(1);
  }
}

async function phase(title, work) {
  console.log(`== ${title}`);
  const started = Date.now();
  try {
    return await work();
  } finally {
    times.push(`${title.split(/[ :]/)[0]} ${Math.round((Date.now() - started) / 1000)} s`);
  }
}

/** The people's output goes to the terminal, the JSON to us. */
async function applyTo(inventory) {
  const done = await run(['node', cli, 'apply', playbook, '-i', inventory, '--yes', '--json'], {
    capture: true,
    own: true,
  });
  check(done);
  return JSON.parse(done.stdout);
}

function check({ status, signal }) {
  if (signal) throw new Stop(128 + constants.signals[signal]);
  if (status === 0) return;
  console.error('\nThe quickstart stopped here. What it made is kept: run it again to go on.');
  throw new Stop(status);
}

function conclude(lab, first, second, name) {
  console.log('== summary');
  console.log(`  first   ${summaryLine(first)}`);
  console.log(`  second  ${summaryLine(second)}`);
  console.log(`  time    ${times.join(', ')}`);
  if (second.summary.changed !== 0) {
    console.error('\nthe second run was to change nothing, but did: see the tasks marked as changed above');
    throw new Stop(1);
  }
  const which = name ? ` --name ${name}` : '';
  console.log(`
The lab host runs vhost_blk. To go on, in ${process.cwd()}:

  node ${cli} lab ssh${which}                  a shell in it (sudo needs no password)
  node ${cli} lab down${which}                 shut it down; \`lab up${which}\` boots it again, \`lab destroy${which}\` removes it
  node ${cli} audit ${playbook} -i ${quote(lab.inventory)}
                                          change something there by hand, and see it told

Real hosts are reached the same way: copy inventory.example.yaml to inventory.yaml, name yours there, then

  node ${cli} plan ${playbook} -i inventory.yaml      what would change; touches nothing
  node ${cli} apply ${playbook} -i inventory.yaml     the first host alone, then the others in batches`);
}

function summaryLine({ summary, hosts }) {
  const tasks = hosts.flatMap((host) => host.tasks ?? []);
  const changed = tasks.filter((task) => task.status === 'changed').length;
  const { ok, failed, unreachable } = summary;
  return (
    `hosts ok: ${ok}, changed: ${summary.changed}, failed: ${failed}, unreachable: ${unreachable}; ` +
    `${changed} of ${tasks.length} tasks changed something`
  );
}

function quote(path) {
  return /^[\w@%+=:,./-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
}
