import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { runTool } from '../../../../src/lab/debian/run.ts';
import { isAlive } from '../../../setup/process-state.mjs';

test('lines as they come, stdout at the end; a redrawn line is a line', async () => {
  const lines: string[] = [];
  const log = (line: string) => lines.push(line);
  const out = await runTool(['sh', '-c', `printf 'a\\rb\\n'; echo err >&2`], { log });
  expect(out).toBe('a\nb\n');
  expect(lines.sort()).toEqual(['a', 'b', 'err']);
});

test('a failure tells the last lines; a missing program is named', async () => {
  const failing = runTool(['sh', '-c', 'echo no space left >&2; exit 7']);
  await expect(failing).rejects.toMatchObject({
    code: 'E_STEP',
    message: expect.stringContaining('no space left'),
  });
  await expect(runTool(['blkfleet-no-such-program'])).rejects.toMatchObject({ code: 'E_FILE' });
});

test('an abort ends the program with all that it started, and waits until it has cleaned up', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'blkfleet-run-'));
  try {
    const abort = new AbortController();
    const script = `trap 'sleep 0.2; echo > ${folder}/cleaned; exit 1' TERM
sleep 60 & echo $! > ${folder}/pid; echo started; wait`;
    const run = runTool(['sh', '-c', script], {
      signal: abort.signal,
      log: (line) => {
        if (line === 'started') abort.abort(new Error('stop'));
      },
    });
    await expect(run).rejects.toThrow('stop');
    expect(existsSync(join(folder, 'cleaned'))).toBe(true);
    const pid = Number(readFileSync(join(folder, 'pid'), 'utf8'));
    await expect.poll(() => isAlive(pid), { timeout: 30_000 }).toBe(false);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
