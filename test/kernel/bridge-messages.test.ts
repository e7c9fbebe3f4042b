import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BRIDGE_TEST, Workshop } from './bridge.ts';
import { kernelLines } from './lines.ts';
import { prepareKernel } from './prepare.ts';
import { long } from './run-checks.ts';

const PREPARE_MS = 60 * 60_000;
const RUN_MS = 15 * 60_000;

const log = (line: string) => console.log(`[bridge] ${line}`);

describe("the bridge's messages, without the module", () => {
  let workshop: Workshop;

  beforeAll(async () => {
    const line = kernelLines.find(({ line }) => line === '6.12')!;
    workshop = Workshop.open((await prepareKernel(line, log)).target.root);
    await workshop.make(BRIDGE_TEST, 'CFLAGS=-O1 hostile replay');
  }, PREPARE_MS);

  afterAll(() => workshop?.remove());

  test(
    'what is malformed is refused for its reason, and leaves no descriptor',
    async () => {
      const { code, output } = await workshop.run('out/bridge-hostile', RUN_MS);
      expect(output.split('\n').filter((text) => text.startsWith('not ok'))).toEqual([]);
      expect(code, output).toBe(0);
      expect(Number(/^(\d+) cases, 0 failed$/m.exec(output)?.[1])).toBeGreaterThan(80);
    },
    RUN_MS,
  );

  test(
    'frontends by chance neither break it nor have the kernel use what is not there',
    async () => {
      const runs = long ? 500_000 : 20_000;
      const { code, output } = await workshop.run(`out/replay-messages --runs ${runs}`, RUN_MS);
      expect(code, output).toBe(0);
      expect(output).toContain(`${runs} inputs`);
    },
    RUN_MS,
  );
});
