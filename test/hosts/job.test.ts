import { afterEach, describe, expect, it } from 'vitest';
import { followScript, forgetScript, jobsProbe, launchScript } from '../../src/engine/job-script.ts';
import { runFleet } from '../../src/engine/run.ts';
import { command } from '../../src/resources/command/index.ts';
import { createMountHost, type MountHost } from './mount-host.ts';

const mark = 'cafe0123cafe0123';
const jobs = '/var/lib/blkfleet/jobs';

let host: MountHost | undefined;
afterEach(() => {
  host?.destroy();
  host = undefined;
});

const step = (script: string) => ({ script, deadline: 60, user: false, payloads: [] });
const launch = (id: string, ...scripts: string[]) =>
  launchScript({ id, mark, meta: '{}', steps: scripts.map(step) });
const text = (frames: ReadonlyMap<string, { body: Buffer }>, id: string) =>
  frames.get(id)?.body.toString('utf8');

describe('a disk that is full', () => {
  it('starts no job that could not be written whole', async () => {
    host = await createMountHost('256k');
    // Cut anywhere, this script would still be one that runs.
    const script = `touch /run/ran\n${'true\n'.repeat(100_000)}`;
    const { frames } = await host.run(launch('one', script));
    expect(frames.get('launch')?.rc).toBe(1);
    expect(text(frames, 'launch')).toMatch(/full/);
    expect(host.exec(['ls', '/run'])).not.toMatch(/ran/);
    expect(host.exec(['ls', jobs])).toBe('');
  });

  it('does not take the result with it', async () => {
    host = await createMountHost('512k');
    const { frames } = await host.run(launch('one', 'true', 'cat /dev/zero > /var/lib/fill || :', 'true'));
    expect(text(frames, 'result')).toBe('ok\n0 0\n1 0\n2 0\n');
  });
});

describe('a job that is just being started by somebody else', () => {
  it('is not taken for one that was cut, and a job that runs is not forgotten', async () => {
    host = await createMountHost();
    const body = launch('one', 'sleep 2; touch /run/ran');
    const other = host.run(body);
    const seen = new Set<string>();
    for (let i = 0; i < 40; i++) {
      const { frames } = await host.run([jobsProbe]);
      for (const line of text(frames, 'jobs')!.split('\n').filter(Boolean)) seen.add(line);
    }
    await host.run([forgetScript(['one'])]);
    expect(text((await other).frames, 'result')).toBe('ok\n0 0\n');
    expect(seen).not.toContain('job one cut');
  });

  it('finds what a launch that was killed has left, an hour later', async () => {
    host = await createMountHost();
    host.exec(['mkdir', '-p', `${jobs}/old/steps`, `${jobs}/new/steps`]);
    host.exec(['touch', '-d', '2 hours ago', `${jobs}/old`]);
    expect(text((await host.run([jobsProbe])).frames, 'jobs')).toBe('job old cut\n');
    await host.run([forgetScript(['old'])]);
    expect(host.exec(['ls', jobs])).toBe('new\n');
  });
});

describe('following a job', () => {
  it.each([
    ['', 'has no process any more'],
    ['1\n', 'has a process id that is another one now'],
  ])('ends at once where it %s (%s)', async (pid) => {
    host = await createMountHost();
    host.exec(['mkdir', '-p', `${jobs}/one`]);
    const files = `cd ${jobs}/one; printf '{}\\n' > meta; printf '%s' '${pid}' > pid; echo line > log; echo '0 0' > steps.done`;
    host.exec(['sh', '-c', files]);
    const started = Date.now();
    const { frames } = await host.run([followScript('one')]);
    expect(text(frames, 'log')?.trim()).toBe('line');
    expect(text(frames, 'result')).toBe('cut\n0 0\n');
    expect(Date.now() - started).toBeLessThan(5000);
  });
});

describe('a job of a run that was killed, which two others wait for', () => {
  const nothing = { name: 'here', groups: [], vars: {}, connection: {} };
  /** What a run says of the job that it finds. */
  const collect = async (transport: MountHost['transport'], runId: string) => {
    const told: string[] = [];
    const { report } = await runFleet({
      command: 'apply',
      runId,
      plays: [
        { name: 'p', index: 0, hosts: ['here'], serial: [], maxFailPercentage: 100, declarations: () => [] },
      ],
      hosts: new Map([['here', nothing]]),
      kinds: new Map(),
      transport,
      sink: (event) => void (event.type === 'warning' && told.push(event.message)),
      signal: new AbortController().signal,
    });
    expect(report.hosts[0]!.error).toBeNull();
    return told.at(-1);
  };
  const meta = JSON.stringify({ version: 1, mark, steps: [['t', 's']] });

  it('is told as it ended by the one whom the other left no result', async () => {
    host = await createMountHost();
    const left = host.run(launchScript({ id: 'one', mark, meta, steps: [step('sleep 3')] }));
    await expect.poll(() => host!.exec(['sh', '-c', `ls ${jobs}/one/meta 2>/dev/null || :`])).not.toBe('');
    const { transport } = host;
    // The other run reads the result and removes the job at once: here it is gone as soon as its log has ended.
    const late = {
      ...transport,
      connect: async (...args: Parameters<typeof transport.connect>) => {
        const connection = await transport.connect(...args);
        const run: typeof connection.run = (request) =>
          connection.run({
            ...request,
            onFrame: request.onFrame && ((frame) => request.onFrame!(frame)),
            body: [...request.body].map((part) =>
              typeof part === 'string' ? part.replace('bf_e log 0', 'rm -rf "$job"; bf_e log 0') : part,
            ),
          });
        return { ...connection, alive: true, run };
      },
    };
    expect(await collect(late, 'second')).toBe('collected job one of an earlier run: ok');
    await left;
  });

  it('and that is gone before its log could be followed was collected', async () => {
    host = await createMountHost();
    expect(text((await host.run([followScript('one')])).frames, 'result')).toBe('gone\n');
  });
});

it('many workstations at once: every run ends well, no two jobs at the same time', async () => {
  host = await createMountHost();
  const { transport } = host;
  const alone = 'mkdir /run/alone; echo x >> /run/count; sleep 0.3; rmdir /run/alone';
  const runOne = async (index: number) => {
    const desired = command.schema.parse({ argv: ['sh', '-ec', alone] });
    const at = { file: 'p.yaml', line: 1, col: 1 };
    const { report } = await runFleet({
      command: 'apply',
      runId: `run-${index}`,
      plays: [
        {
          name: 'p',
          index: 0,
          hosts: ['here'],
          serial: [],
          maxFailPercentage: 100,
          declarations: () => [
            {
              ...{ play: 'p', playIndex: 0, task: 't', handler: false, kind: 'command', at },
              ...{ input: { desired, assets: {} }, become: false, tags: [], notify: [] },
            },
          ],
        },
      ],
      hosts: new Map([['here', { name: 'here', groups: [], vars: {}, connection: {} }]]),
      kinds: new Map([['command', command]]),
      transport,
      sink: () => {},
      signal: new AbortController().signal,
    });
    return report.hosts[0]!.error;
  };
  const runs = Array.from({ length: 3 }, async (_, worker) => {
    const errors = [];
    for (let i = 0; i < 6; i++) errors.push(await runOne(worker * 10 + i));
    return errors;
  });
  const errors = (await Promise.all(runs)).flat().filter((error) => error && error.code !== 'E_BUSY');
  expect(errors).toEqual([]);
  expect(host.exec(['sh', '-c', 'ls /var/lib/blkfleet /run/blkfleet 2>/dev/null || :'])).toBe('');
});
