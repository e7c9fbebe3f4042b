import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Log } from '../../../src/lab/debian/cache.ts';
import { LOGIN_USER, type SudoPolicy, writeCommonLayer, writeHostLayer } from './layers.ts';
import { makeOpensshKey } from './openssh-key.ts';
import { type HostRoot, hostRoot, packageRepository } from './root.ts';

export interface FleetOptions {
  count: number;
  /** default nopasswd */
  sudo?: SudoPolicy;
  /** packages that the hosts can install, from an apt repository on the fleet's network */
  packages?: readonly string[];
  /** another root file system than the shared one */
  root?: HostRoot;
  /** a folder over the root of every host: the `upper` of another host, copied with its attributes */
  layer?: string;
  /** progress of what has to be built or fetched first */
  log?: Log;
}

export interface Output {
  /** null when ended by a signal */
  status: number | null;
  stdout: string;
  stderr: string;
}

/** One host: its own mount, pid, network, uts and ipc namespaces, sshd as process 1. */
export interface FleetHost {
  readonly name: string;
  readonly address: string;
  /** process number of its sshd, as this process sees it */
  readonly pid: number;
  /** the host's / as a path of this machine; an absolute symlink in it leads out of it */
  readonly root: string;
  /** what the host has written beside /run and /proc: the upper folder of its overlay */
  readonly upper: string;
  /** runs a program in the host as root, not over ssh */
  exec(argv: readonly string[], input?: string): Output;
  /** CPU seconds of all that ran under its sshd and has ended */
  cpuSeconds(): number;
  /** pulls the plug; files stay */
  stop(): Promise<void>;
  start(): Promise<void>;
}

/**
 * Hosts on a network of their own: nothing of it is to be seen in the machine's default namespaces. Programs reach the
 * hosts when they are started with `inNetwork`.
 */
export interface Fleet {
  readonly hosts: readonly FleetHost[];
  readonly root: HostRoot;
  /** for inventory, keys and what a test wants to write; removed by destroy */
  readonly folder: string;
  readonly inventoryFile: string;
  readonly knownHostsFile: string;
  readonly keyFile: string;
  host(name: string): FleetHost;
  /** puts a command into the network of the fleet; the process is the command itself, so signals reach it */
  inNetwork(argv: readonly string[]): [command: string, args: string[]];
  destroy(): Promise<void>;
}

const batch = 8;
const here = fileURLToPath(new URL('.', import.meta.url));

/**
 * Makes `count` hosts; about 0.1 CPU-s each. Needs root. All of it ends when `destroy` is called or when this process
 * ends, however it ends.
 */
export async function createFleet(options: FleetOptions): Promise<Fleet> {
  if (process.getuid?.() !== 0)
    throw new Error('namespace hosts need root: run the tests as root or by sudo');
  const log = options.log ?? ((line) => console.error(line));
  const root = options.root ?? (await hostRoot(log));
  const repository = options.packages && (await packageRepository(options.packages, log));
  const folder = mkdtempSync(join(tmpdir(), 'blkfleet-hosts-'));
  for (const name of ['mnt', 'log', 'layer']) mkdirSync(join(folder, name));

  const login = makeOpensshKey();
  const keyFile = join(folder, 'id');
  writeFileSync(keyFile, login.privateKey, { mode: 0o600 });
  writeFileSync(`${keyFile}.pub`, `${login.publicKey}\n`);
  writeCommonLayer(join(folder, 'layer/common'), root.folder, {
    loginKey: login.publicKey,
    sudo: options.sudo ?? 'nopasswd',
    repository: repository && 'http://10.77.0.1/',
  });
  const width = Math.max(2, String(options.count).length);
  const names = Array.from({ length: options.count }, (_, i) => `hv${String(i + 1).padStart(width, '0')}`);
  const addresses = new Map(
    names.map((name, i) => [name, `10.77.${1 + Math.floor(i / 250)}.${1 + (i % 250)}`]),
  );
  const knownHosts = names.map(
    (name) => `${addresses.get(name)} ${writeHostLayer(join(folder, 'layer', name), name)}\n`,
  );
  const knownHostsFile = join(folder, 'known_hosts');
  writeFileSync(knownHostsFile, knownHosts.join(''));
  // OpenSSH and the CLI find both in $HOME/.ssh.
  mkdirSync(join(folder, 'home/.ssh'), { recursive: true, mode: 0o700 });
  writeFileSync(join(folder, 'home/.ssh/known_hosts'), knownHosts.join(''));
  const inventoryFile = join(folder, 'inventory.yaml');
  writeFileSync(inventoryFile, inventory(addresses, keyFile));

  const supervisor = new Supervisor(folder, root.folder, options.layer);
  try {
    await supervisor.ready;
    if (repository) await supervisor.serve(repository);
    const hosts = names.map((name) => new NamespaceHost(name, addresses.get(name) ?? '', supervisor));
    const waiting = [...hosts];
    const worker = async () => {
      for (let host = waiting.shift(); host; host = waiting.shift()) await host.start();
    };
    await Promise.all(Array.from({ length: batch }, worker));
    return {
      ...{ hosts, root, folder, inventoryFile, knownHostsFile, keyFile },
      host: (name) => {
        const found = hosts.find((host) => host.name === name);
        if (!found) throw new Error(`no host ${name}`);
        return found;
      },
      inNetwork: (argv) => ['nsenter', [`--net=/proc/${supervisor.pid}/ns/net`, '--', ...argv]],
      destroy: () => supervisor.end(),
    };
  } catch (error) {
    await supervisor.end();
    throw error;
  }
}

function inventory(addresses: ReadonlyMap<string, string>, keyFile: string): string {
  const hosts = [...addresses].map(([name, address]) => `        ${name}: { address: ${address} }\n`);
  return `all:
  vars: { user: ${LOGIN_USER}, identity_file: ${keyFile}, become: true }
  children:
    hypervisors:
      hosts:
${hosts.join('')}`;
}

/** Little, so that hosts have nothing of ours; the mark by which the test runner finds what a test leaves stays. */
function supervisorEnvironment(): NodeJS.ProcessEnv {
  const { BLKFLEET_TEST_RUN: mark } = process.env;
  return {
    PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
    ...(mark === undefined ? {} : { BLKFLEET_TEST_RUN: mark }),
  };
}

/** The process that holds the namespaces: see supervisor.sh. */
class Supervisor {
  readonly folder: string;
  readonly ready: Promise<void>;
  pid = 0;
  private readonly child: ChildProcess;
  private readonly ended: Promise<void>;
  private readonly waiting = new Map<string, (pid: number) => void>();
  private stderr = '';

  constructor(folder: string, root: string, layer: string | undefined) {
    this.folder = folder;
    // A session of its own: a Ctrl-C at the terminal is for the test, and the end of stdin is what ends a fleet.
    this.child = spawn(
      'unshare',
      [
        ...['--mount', '--net', '--pid', '--fork', '--kill-child=KILL', '--propagation', 'private'],
        ...['sh', join(here, 'supervisor.sh'), folder, layer === undefined ? root : `${layer}:${root}`],
      ],
      { stdio: ['pipe', 'pipe', 'pipe'], detached: true, env: supervisorEnvironment() },
    );
    this.child.stdin?.on('error', () => {});
    this.child.stderr?.on('data', (text) => {
      this.stderr = `${this.stderr}${text}`.slice(-4000);
    });
    this.ended = new Promise((resolve) => this.child.once('close', () => resolve()));
    this.ready = Promise.race([
      this.answer('supervisor').then((pid) => {
        this.pid = pid;
      }),
      this.ended.then(() => {
        throw new Error(`the namespaces can not be made: ${this.stderr}`);
      }),
    ]);
    createInterface({ input: this.child.stdout! }).on('line', (line) => {
      const [, name = '', pid] = line.split(' ');
      this.waiting.get(name)?.(Number(pid));
    });
  }

  /** Starts a host and waits for its first process; throws with the host's log. */
  async start(name: string, address: string): Promise<number> {
    const up = this.answer(name);
    this.child.stdin?.write(`start ${name} ${address}\n`);
    return up;
  }

  async serve(folder: string): Promise<void> {
    const up = this.answer('repository');
    this.child.stdin?.write(`serve ${process.execPath} ${folder}\n`);
    await up;
  }

  async end(): Promise<void> {
    this.child.stdin?.end();
    const late = sleep(10_000, 'late', { ref: false });
    if ((await Promise.race([this.ended, late])) === 'late') {
      this.child.kill('SIGKILL');
      await this.ended;
    }
    rmSync(this.folder, { recursive: true, force: true });
  }

  private answer(word: string): Promise<number> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`no '${word}' in time: ${this.log(word)}`)), 60_000);
      this.waiting.set(word, (pid) => {
        clearTimeout(timer);
        this.waiting.delete(word);
        resolve(pid);
      });
    });
  }

  log(name: string): string {
    const file = join(this.folder, 'log', name);
    return `${existsSync(file) ? readFileSync(file, 'utf8') : ''}${this.stderr}`.slice(-2000);
  }
}

class NamespaceHost implements FleetHost {
  readonly name: string;
  readonly address: string;
  pid = 0;
  private readonly supervisor: Supervisor;

  constructor(name: string, address: string, supervisor: Supervisor) {
    this.name = name;
    this.address = address;
    this.supervisor = supervisor;
  }

  get root(): string {
    return `/proc/${this.pid}/root`;
  }

  get upper(): string {
    return `/proc/${this.supervisor.pid}/root${this.supervisor.folder}/mnt/${this.name}/upper`;
  }

  exec(argv: readonly string[], input = ''): Output {
    const env = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' };
    const args = ['-t', String(this.pid), '--all', '--', ...argv];
    const { status, stdout, stderr } = spawnSync('nsenter', args, {
      ...{ input, env, encoding: 'utf8', maxBuffer: 64 << 20 },
    });
    return { status, stdout, stderr };
  }

  cpuSeconds(): number {
    const text = readFileSync(`/proc/${this.pid}/stat`, 'utf8');
    // The name in parentheses may hold spaces; utime, stime, cutime and cstime are fields 14 to 17.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0) / 100;
  }

  async start(): Promise<void> {
    this.pid = await this.supervisor.start(this.name, this.address);
    const deadline = Date.now() + 30_000;
    while (!this.listens()) {
      if (Date.now() > deadline || !existsSync(`/proc/${this.pid}`))
        throw new Error(`${this.name}: sshd does not listen: ${this.supervisor.log(this.name)}`);
      await sleep(10);
    }
  }

  async stop(): Promise<void> {
    process.kill(this.pid, 'SIGKILL');
    while (existsSync(`/proc/${this.pid}`)) await sleep(10);
  }

  private listens(): boolean {
    try {
      // Port 22 in state LISTEN.
      return /: 00000000:0016 \S+ 0A /.test(readFileSync(`/proc/${this.pid}/net/tcp`, 'utf8'));
    } catch {
      return false;
    }
  }
}
