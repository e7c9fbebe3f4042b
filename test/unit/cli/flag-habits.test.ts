import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { flagHint } from '../../../src/cli/flag-habits.ts';

const main = readFileSync('src/cli/main.ts', 'utf8');

it.for<[string, string]>([
  ["error: unknown option '-e'", 'variables stand in the inventory'],
  ["error: unknown option '-ex=1'", 'variables stand in the inventory'],
  ["error: unknown option '--extra-vars=x'", 'variables stand in the inventory'],
  ["error: unknown option '-C'", '`plan` changes nothing'],
  ["error: unknown option '-u'", 'the login name is a variable of the inventory: user'],
  ["error: unknown command 'ping'", 'write facts'],
])('%s', ([message, hint]) => {
  expect(flagHint(message)).toContain(hint);
});

it('has nothing to say of other mistakes', () => {
  for (const text of [
    "unknown option '--zork'",
    "unknown command 'aply'",
    'argument missing',
    "unknown option '--toString'",
  ])
    expect(flagHint(`error: ${text}`)).toBeUndefined();
});

it('a command that it names is one, and a flag that it explains is none of all commands', () => {
  for (const word of ['run', 'check', 'ping', 'hosts', 'drift']) {
    const [command] = /write (\w+)/.exec(flagHint(`unknown command '${word}'`)!)!.slice(1);
    expect(main).toMatch(new RegExp(`command\\('${command}'|(?:fleet|playbook)\\('${command}'`));
  }
  expect(main).not.toMatch(/option\('-[eCDbfk],/);
});

it('--help tells of dm-qcow2 only where playbooks/site.yaml rolls it out', () => {
  const description = /new Command\('blkfleet'\)\s*\.description\('(.*)'\)/.exec(main)![1]!;
  const rolledOut = /kmod\/dm_qcow2/.test(readFileSync('playbooks/site.yaml', 'utf8'));
  if (!rolledOut) expect(description).not.toMatch(/qcow2/);
  expect(description).toContain('vhost_blk');
});
