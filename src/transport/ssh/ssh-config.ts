import { execFile } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { homedir, userInfo } from 'node:os';
import { join } from 'node:path';
import { Semaphore } from '../../lib/semaphore.ts';
import { failure } from '../failure.ts';
import { evaluate, parseSshConfig, type SshConfigFile } from './ssh-config-file.ts';

/** What ssh_config(5) says of one host; lists are in order, '~' is not expanded. */
export interface SshSettings {
  hostname: string;
  port: number;
  user: string;
  identityFiles: readonly string[];
  identitiesOnly: boolean;
  /** a path, 'SSH_AUTH_SOCK', '$NAME' or 'none'; null when not set */
  identityAgent: string | null;
  proxyJump: string | null;
  proxyCommand: string | null;
  hostKeyAlias: string | null;
  userKnownHostsFiles: readonly string[];
  globalKnownHostsFiles: readonly string[];
  hashKnownHosts: boolean;
}

const SYSTEM_FILE = '/etc/ssh/ssh_config';
const SYSTEM_FOLDER = '/etc/ssh/ssh_config.d';
const PARALLEL = 2;

/**
 * The operator's ssh configuration. Files that hold only Host blocks with plain values are evaluated here, from one
 * parse for the fleet; where they hold more (Match, Include, tokens such as %h, canonical names) `ssh -G` is asked, once
 * for each distinct host, so that its rules are exact. Which of the two it is, is decided from the files, once.
 */
export class SshConfig {
  private readonly file: string | null | undefined;
  private loaded: Promise<readonly SshConfigFile[] | 'ask-ssh'> | undefined;
  private readonly answers = new Map<string, Promise<SshSettings>>();
  private readonly running = new Semaphore(PARALLEL);

  /** @param file as with `ssh -F`; undefined for the usual ones, null for none */
  constructor(file: string | null | undefined) {
    this.file = file;
  }

  /**
   * @param host inventory name, for errors
   * @param alias what the operator would type after `ssh`
   * @param given port and user that the inventory sets: they go before the files
   */
  resolve(host: string, alias: string, given: { port?: number; user?: string }): Promise<SshSettings> {
    const key = `${given.user ?? ''}\0${given.port ?? ''}\0${alias}`;
    let answer = this.answers.get(key);
    if (!answer) {
      answer = this.ask(host, alias, given);
      this.answers.set(key, answer);
    }
    return answer;
  }

  private async ask(
    host: string,
    alias: string,
    given: { port?: number; user?: string },
  ): Promise<SshSettings> {
    this.loaded ??= this.load();
    const files = await this.loaded;
    if (files !== 'ask-ssh') return evaluate(files, alias, { ...given, login: userInfo().username });
    return this.running.use(() => this.askSsh(host, alias, given));
  }

  private async load(): Promise<readonly SshConfigFile[] | 'ask-ssh'> {
    if (this.file === null) return [];
    const paths = this.file !== undefined ? [this.file] : [join(homedir(), '.ssh/config'), SYSTEM_FILE];
    const files: SshConfigFile[] = [];
    for (const path of paths) {
      const text = await readText(path);
      if (text === null) {
        if (this.file === undefined) continue;
        throw failure(
          '',
          'E_FILE',
          `can not read ${path}`,
          'name a file that exists, or leave the option out',
        );
      }
      // Debian's file includes this folder first; anything else that is included is for ssh to read.
      const isSystem = path === SYSTEM_FILE;
      for (const part of isSystem ? await systemParts(text) : [text]) {
        const parsed = parseSshConfig(part);
        if (parsed === null) return 'ask-ssh';
        files.push(parsed);
      }
    }
    return files;
  }

  private askSsh(host: string, alias: string, given: { port?: number; user?: string }): Promise<SshSettings> {
    // Debugging tells of commands that a Match would run; false is the shell that would run them.
    const args = ['-G', '-v'];
    const env = { ...process.env, SHELL: '/bin/false' };
    // ssh takes the home folder from the passwd file; an operator who sets HOME means the file there.
    if (this.file) args.push('-F', this.file);
    else if (homedir() !== userInfo().homedir) args.push('-F', join(homedir(), '.ssh/config'));
    if (given.port !== undefined) args.push('-p', String(given.port));
    if (given.user !== undefined) args.push('-l', given.user);
    args.push('--', alias);
    return new Promise((resolve, reject) => {
      const child = execFile(
        'ssh',
        args,
        { timeout: 10_000, maxBuffer: 1 << 20, env },
        (error, stdout, debug) => {
          if (/^debug1: Executing command: /m.test(debug))
            return reject(
              failure(
                host,
                'E_INVENTORY',
                'the ssh configuration runs a command to decide what holds for this host (Match exec), which is not supported',
                'name a file without it by --ssh-config, or say there by Match host what you mean',
              ),
            );
          if (!error) return resolve(parseSshG(stdout));
          const stderr = debug.replace(/^(?:debug\d:|OpenSSH_)[^\n]*\n/gm, '');
          const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
          reject(
            failure(
              host,
              'E_INVENTORY',
              missing
                ? 'the ssh configuration uses Match, Include or tokens, and there is no ssh here to read it'
                : `ssh -G could not read the configuration: ${stderr.trim().split('\n')[0] ?? ''}`,
              missing ? 'install openssh-client' : 'correct ~/.ssh/config',
            ),
          );
        },
      );
      child.stdin?.end();
    });
  }
}

/** The texts that the system's file amounts to, in order of precedence: those of its folder, then its own rest. */
async function systemParts(text: string): Promise<string[]> {
  const include = new RegExp(`^\\s*Include\\s+${SYSTEM_FOLDER.replaceAll('.', '\\.')}/\\*\\.conf\\s*$`, 'im');
  const match = include.exec(text);
  if (!match || /^\s*(Host|Match)\b/im.test(text.slice(0, match.index))) return [text];
  const names = await readdir(SYSTEM_FOLDER).catch(() => [] as string[]);
  const parts = await Promise.all(
    names
      .filter((name) => name.endsWith('.conf') && !name.startsWith('.'))
      .sort()
      .map((name) => readText(join(SYSTEM_FOLDER, name))),
  );
  const before = text.slice(0, match.index);
  const after = text.slice(match.index + match[0].length);
  return [before, ...parts.filter((part): part is string => part !== null), after];
}

async function readText(path: string): Promise<string | null> {
  return readFile(path, 'utf8').catch(() => null);
}

/** Reads what `ssh -G` prints: a `keyword value` a line, keywords in lower case. */
export function parseSshG(text: string): SshSettings {
  const values = new Map<string, string[]>();
  for (const line of text.split('\n')) {
    const space = line.indexOf(' ');
    if (space < 1) continue;
    const key = line.slice(0, space);
    const list = values.get(key);
    if (list) list.push(line.slice(space + 1));
    else values.set(key, [line.slice(space + 1)]);
  }
  const first = (key: string) => values.get(key)?.[0] ?? null;
  const set = (key: string) => {
    const value = first(key);
    return value === null || value === 'none' ? null : value;
  };
  return {
    hostname: first('hostname') ?? '',
    port: Number(first('port') ?? 22),
    user: first('user') ?? '',
    identityFiles: values.get('identityfile') ?? [],
    identitiesOnly: first('identitiesonly') === 'yes',
    identityAgent: first('identityagent'),
    proxyJump: set('proxyjump'),
    proxyCommand: set('proxycommand'),
    hostKeyAlias: set('hostkeyalias'),
    userKnownHostsFiles: first('userknownhostsfile')?.split(' ') ?? [],
    globalKnownHostsFiles: first('globalknownhostsfile')?.split(' ') ?? [],
    hashKnownHosts: first('hashknownhosts') === 'yes',
  };
}
