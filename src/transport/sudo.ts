import type { FleetError } from '../lib/errors.ts';
import { failure, quoteHost } from './failure.ts';
import type { ShellEnd } from './session.ts';

/**
 * What the login shell is asked to become. Plain words only: sh, bash, csh and fish read them alike. `env` keeps
 * sudo's messages in English, since they are how a refusal is told apart.
 */
export const PLAIN_SHELL = 'exec /bin/sh';
export const SUDO_SHELL = 'exec env LC_ALL=C sudo -n -- /bin/sh';

/**
 * A root shell by password: sudo prompts with our own random `prompt` on stderr, and the shell it starts says `ready`
 * on stdout before it reads anything. Both are hex: they stand in argv, where all users see them.
 */
export function passwordShell(prompt: string, ready: string): string {
  return `exec env LC_ALL=C sudo -S -p ${prompt} -- /bin/sh -c 'echo ${ready}; exec /bin/sh'`;
}

export type SudoTrouble =
  | 'password-required'
  | 'wrong-password'
  | 'not-allowed'
  | 'requiretty'
  | 'no-sudo'
  | 'other';

// First match wins. The texts are sudo's own (1.8 to 1.9, C locale) and those of env for a command that is not there.
const troubles: readonly (readonly [RegExp, SudoTrouble])[] = [
  [/sorry, you must have a tty to run sudo/i, 'requiretty'],
  [/is not in the sudoers file|may not run sudo|is not allowed to (execute|run)/i, 'not-allowed'],
  [/\d+ incorrect password attempts?|no password was provided|Sorry, try again/i, 'wrong-password'],
  [/a password is required|a terminal is required to/i, 'password-required'],
  [/env: .*sudo.*(No such file|not found)|sudo: (command )?not found/i, 'no-sudo'],
  [/^sudo: (?!unable to resolve host)/m, 'other'],
];

/** What sudo complains of in `stderr`, or null when it says nothing. */
export function sudoTrouble(stderr: Buffer): SudoTrouble | null {
  const text = stderr.subarray(-8192).toString('utf8');
  return troubles.find(([pattern]) => pattern.test(text))?.[1] ?? null;
}

/** The error for a shell that sudo did not give. */
export function sudoFailure(host: string, user: string, trouble: SudoTrouble, stderr: Buffer): FleetError {
  const fail = (message: string, hint: string) => failure(host, 'E_SUDO', message, hint);
  switch (trouble) {
    case 'password-required':
      return fail(
        `sudo wants a password for user '${user}'`,
        `give it with --ask-become-pass, or allow it on the host: ${user} ALL=(root) NOPASSWD: ALL`,
      );
    case 'wrong-password':
      return fail(
        `sudo did not accept the password of user '${user}'`,
        'it was tried once; check it by hand',
      );
    case 'not-allowed':
      return fail(
        `user '${user}' may not become root by sudo`,
        `allow it on the host: ${user} ALL=(root) NOPASSWD: ALL`,
      );
    case 'requiretty':
      return fail(
        `sudo on the host wants a terminal (requiretty) for user '${user}'`,
        `put this into a file under /etc/sudoers.d there: Defaults:${user} !requiretty`,
      );
    case 'no-sudo':
      return fail('there is no sudo on the host', 'install sudo there, log in as root, or set become: false');
    case 'other':
      return fail(`sudo failed: ${quoteHost(stderr)}`, `try there: sudo -n true, as user '${user}'`);
  }
}

/**
 * Why the login shell of `user` never ran our script, from how it ended and what it printed: E_SUDO or E_SHELL.
 * @param become sudo stood between
 */
export function silence(
  host: string,
  user: string,
  become: boolean,
  end: ShellEnd,
  stderr: Buffer,
  stdout: Buffer,
): FleetError {
  const trouble = become ? sudoTrouble(stderr) : null;
  if (trouble) return sudoFailure(host, user, trouble, stderr);
  const how = end.signal ? `was ended by ${end.signal}` : `ended with status ${end.status}`;
  const said = quoteHost(stdout) || quoteHost(stderr);
  return failure(
    host,
    'E_SHELL',
    `the login shell of '${user}' ${how} and ran nothing${said && `; it said: ${said}`}`,
    shellHint(user, `${stdout.toString('latin1')}\n${stderr.toString('latin1')}`),
  );
}

function shellHint(user: string, said: string): string {
  if (/account is (currently )?not available|nologin/i.test(said))
    return `the user has no login shell; on the host: chsh -s /bin/sh ${user}`;
  if (/restricted/i.test(said))
    return `a restricted shell can not start /bin/sh; give '${user}' an ordinary one`;
  return `look for 'exit' or 'exec' in the shell profile of '${user}', command= in its authorized_keys, or ForceCommand in sshd_config`;
}
