import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { factsScript, parseFacts } from '../../../src/facts/probe.ts';

const of = (...lines: string[]) => parseFacts(Buffer.from(['release 6.1.0-1-amd64', ...lines].join('\n')));

describe('facts', () => {
  it('are what the tools of this machine say', () => {
    const facts = parseFacts(execFileSync('/bin/sh', ['-c', factsScript]));
    const say = (program: string, ...args: string[]) =>
      execFileSync(program, args, { encoding: 'utf8' }).trim();
    expect(facts).toMatchObject({
      hostname: say('uname', '-n'),
      uid: Number(say('id', '-u')),
      cpus: Number(say('getconf', '_NPROCESSORS_ONLN')),
      kernel: {
        release: say('uname', '-r'),
        version: say('uname', '-v'),
        arch: say('uname', '-m'),
        tainted: Number(readFileSync('/proc/sys/kernel/tainted', 'utf8')),
      },
    });
    expect(facts.memoryKiB).toBeGreaterThan(0);
  });

  it.each([
    ['online 0', 1],
    ['online 0-3', 4],
    ['online 0-1,4,6-7', 5],
    ['online 3-0', 1],
    ['online x', 1],
    ['hostname a', 1],
  ])('%s: %i CPUs', (line, cpus) => {
    expect(of(line).cpus).toBe(cpus);
  });

  it('dpkg is healthy unless its status says otherwise', () => {
    expect(of().packages.healthy).toBe(true);
    expect(of('dpkg broken').packages.healthy).toBe(false);
  });
});
