import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A user of the test's sshd, in an /etc of its own. */
export interface TestUser {
  name: string;
  uid: number;
  shell?: string;
  /** lines of its .bashrc, which bash reads for commands over ssh */
  bashrc?: string;
  /** options before the key in authorized_keys, such as command="…" */
  keyOptions?: string;
}

export interface SshdOptions {
  users: readonly TestUser[];
  /** the whole of /etc/sudoers */
  sudoers: string;
  /** further lines for sshd_config */
  config?: string;
  hostKeyTypes?: readonly string[];
}

/** The password of every test user; a text that must never be seen in any output. */
export const PASSWORD = 'Correct-Horse-7';
// crypt(3) of PASSWORD, made once by `openssl passwd -6`.
const PASSWORD_HASH =
  '$6$blkfleet$Zs5KyA6O/HQZpEVBnAXwI9aUjIGg4CtAdKERVHIHeuyvmHpg0hYYIIwir.r7Ih59hGWnooIHSztjW6UAoLJCL1';

/** A real sshd on loopback, with users and sudoers of its own by a private mount namespace. Needs root. */
export class TestSshd {
  readonly folder: string;
  readonly port: number;
  readonly identity: string;
  readonly knownHosts: string;
  private child: ChildProcess | undefined;
  private readonly config: string;

  private constructor(folder: string, port: number, config: string) {
    this.folder = folder;
    this.port = port;
    this.config = config;
    this.identity = join(folder, 'id');
    this.knownHosts = join(folder, 'known_hosts');
  }

  static async start(options: SshdOptions): Promise<TestSshd> {
    const folder = mkdtempSync(join(tmpdir(), 'blkfleet-sshd-'));
    chmodSync(folder, 0o755);
    const port = await freePort();
    const types = options.hostKeyTypes ?? ['ed25519', 'ecdsa'];
    for (const type of types) makeKey(join(folder, `host_${type}`), type);
    makeKey(join(folder, 'id'), 'ed25519');
    const config = [
      `Port ${port}`,
      'ListenAddress 127.0.0.1',
      ...types.map((type) => `HostKey ${folder}/host_${type}`),
      'PidFile none',
      'UsePAM yes',
      'PrintMotd no',
      'PasswordAuthentication no',
      'KbdInteractiveAuthentication no',
      'MaxStartups 500',
      'LogLevel ERROR',
      options.config ?? '',
    ];
    const sshd = new TestSshd(folder, port, config.join('\n'));
    sshd.writeEtc(options);
    writeFileSync(
      sshd.knownHosts,
      types.map((type) => `[127.0.0.1]:${port} ${sshd.hostKey(type)}\n`).join(''),
    );
    await sshd.up();
    return sshd;
  }

  /** `type base64` of a host key. */
  hostKey(type: string): string {
    return readFileSync(join(this.folder, `host_${type}.pub`), 'utf8')
      .split(' ')
      .slice(0, 2)
      .join(' ')
      .trim();
  }

  /** Starts the server, in the foreground, in its mount namespace. */
  async up(extra = ''): Promise<void> {
    writeFileSync(join(this.folder, 'sshd_config'), `${this.config}\n${extra}\n`);
    mkdirSync('/run/sshd', { recursive: true });
    const binds = ['passwd', 'shadow', 'group', 'sudoers']
      .map((name) => `mount --bind ${this.folder}/etc/${name} /etc/${name}`)
      .join(' && ');
    const script = `${binds} && exec /usr/sbin/sshd -D -e -f ${this.folder}/sshd_config`;
    this.child = spawn('unshare', ['-m', '--propagation', 'private', 'sh', '-c', script], {
      stdio: ['ignore', 'ignore', process.env.SSHD_LOG ? 'inherit' : 'ignore'],
    });
    for (let attempt = 0; !(await answers(this.port)); attempt++) {
      if (attempt > 100 || this.child.exitCode !== null) throw new Error('the test sshd does not answer');
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  async down(): Promise<void> {
    const child = this.child;
    if (!child || child.exitCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    // Sessions are children of the listener: they would outlive it.
    const sessions = this.sessions();
    child.kill('SIGTERM');
    await ended;
    this.child = undefined;
    for (const pid of sessions) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // ended by itself
      }
    }
  }

  /** Pids of the sessions now served. */
  sessions(): number[] {
    try {
      const text = execFileSync('ps', ['-o', 'pid=', '--ppid', String(this.child?.pid)], {
        encoding: 'utf8',
      });
      return text.split(/\s+/).filter(Boolean).map(Number);
    } catch {
      return [];
    }
  }

  async remove(): Promise<void> {
    await this.down().catch(() => {});
    rmSync(this.folder, { recursive: true, force: true });
  }

  private writeEtc({ users, sudoers }: SshdOptions): void {
    const etc = join(this.folder, 'etc');
    mkdirSync(etc);
    const publicKey = readFileSync(`${this.identity}.pub`, 'utf8');
    let passwd = readFileSync('/etc/passwd', 'utf8');
    let shadow = readFileSync('/etc/shadow', 'utf8');
    let group = readFileSync('/etc/group', 'utf8');
    mkdirSync(join(this.folder, 'home'), { mode: 0o755 });
    for (const { name, uid, shell = '/bin/sh', bashrc, keyOptions } of users) {
      const home = join(this.folder, 'home', name);
      if (name !== 'root') {
        passwd += `${name}:x:${uid}:${uid}::${home}:${shell}\n`;
        shadow += `${name}:${PASSWORD_HASH}:19000:0:99999:7:::\n`;
        group += `${name}:x:${uid}:\n`;
      } else passwd = passwd.replace(/^root:.*$/m, `root:x:0:0::${home}:${shell}`);
      mkdirSync(join(home, '.ssh'), { recursive: true, mode: 0o700 });
      writeFileSync(join(home, '.ssh/authorized_keys'), `${keyOptions ? `${keyOptions} ` : ''}${publicKey}`);
      if (bashrc !== undefined) writeFileSync(join(home, '.bashrc'), bashrc);
      for (const path of [home, join(home, '.ssh'), join(home, '.ssh/authorized_keys')])
        chownSync(path, uid, uid);
    }
    writeFileSync(join(etc, 'passwd'), passwd);
    writeFileSync(join(etc, 'shadow'), shadow, { mode: 0o640 });
    writeFileSync(join(etc, 'group'), group);
    writeFileSync(join(etc, 'sudoers'), sudoers, { mode: 0o440 });
    chmodSync(join(etc, 'sudoers'), 0o440);
  }
}

export function makeKey(path: string, type: string, passphrase = ''): void {
  execFileSync('ssh-keygen', ['-q', '-t', type, '-N', passphrase, '-C', 'test', '-f', path]);
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('data', () => resolve(true));
    socket.once('error', () => resolve(false));
    socket.once('close', () => resolve(false));
    socket.once('data', () => socket.destroy());
  });
}
