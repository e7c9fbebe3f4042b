import { execFileSync } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { diskCheck } from '../../../src/bench/disk-check.ts';

const run = (script: string) =>
  execFileSync('sh', ['-c', diskCheck + script], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });

// A device that everybody may open, and that nothing but this test does, stands for a disk.
describe('who has a disk open', () => {
  test('is told, once for each process', () => {
    const ours = new RegExp(`^\\S+ \\(${process.pid}\\)$`, 'gm');
    expect(run('disk=/dev/full; disk_openers')).not.toMatch(ours);
    const files = [openSync('/dev/full', 'r'), openSync('/dev/full', 'r')];
    try {
      expect(run('disk=/dev/full; disk_openers').match(ours)).toHaveLength(1);
      expect(run('disk=/dev/zero; disk_openers')).not.toMatch(ours);
    } finally {
      files.forEach(closeSync);
    }
  });

  test('is a reason to leave it alone', () => {
    const file = openSync('/dev/full', 'r');
    try {
      expect(run('disk=/dev/full disk_name=none disk_number=0:0; disk_reasons 2>/dev/null')).toMatch(
        new RegExp(`^it is open in \\S+ \\(${process.pid}\\)$`, 'm'),
      );
    } finally {
      closeSync(file);
    }
  });
});

// fio(1) takes filename=A:B for two files.
test.each(['/dev/a:b', '/dev/a,b', '/dev/a b', '/dev/a"b'])('a node %s is left alone', (node) => {
  expect(run(`disk='${node}' disk_name=none disk_number=0:0; disk_reasons 2>/dev/null`)).toContain(
    `would take its name apart: ${node}`,
  );
});
