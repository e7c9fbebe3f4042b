import { describe, expect, it } from 'vitest';
import { silence, sudoTrouble } from '../../../src/transport/sudo.ts';

const ended = { status: 1, signal: null, lost: false };

describe('what sudo says', () => {
  it.each([
    ['sudo: a password is required\n', 'password-required'],
    ['sudo: a terminal is required to read the password; either use the -S option\n', 'password-required'],
    ['sudo: 1 incorrect password attempt\n', 'wrong-password'],
    ['sudo: no password was provided\nsudo: 1 incorrect password attempt\n', 'wrong-password'],
    ['ops is not in the sudoers file.\n', 'not-allowed'],
    ['Sorry, user ops is not allowed to execute "/bin/sh" as root on hv1.\n', 'not-allowed'],
    ['sudo: sorry, you must have a tty to run sudo\n', 'requiretty'],
    ['env: ‘sudo’: No such file or directory\n', 'no-sudo'],
    ['sudo: /etc/sudo.conf is owned by uid 1, should be 0\n', 'other'],
    ['sudo: unable to resolve host hv1: Name or service not known\n', null],
    ['Connection to hv1 closed.\n', null],
  ])('%j is %s', (text, trouble) => {
    expect(sudoTrouble(Buffer.from(text))).toBe(trouble);
  });

  it('is E_SUDO, and other silence E_SHELL with what the host printed made printable', () => {
    const none = Buffer.alloc(0);
    const sudo = silence('hv1', 'ops', true, ended, Buffer.from('sudo: a password is required\n'), none);
    expect(sudo.diagnostics[0]).toMatchObject({ code: 'E_SUDO', host: 'hv1' });
    const shell = silence(
      'hv1',
      'ops',
      false,
      ended,
      none,
      Buffer.from('\x1b[2JThis account is currently not available.\n'),
    );
    expect(shell.diagnostics[0]).toMatchObject({ code: 'E_SHELL', host: 'hv1' });
    expect(shell.message).not.toContain('\x1b');
    expect(shell.hint).toContain('chsh');
  });
});
