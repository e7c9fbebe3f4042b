import { afterAll, beforeAll, expect, test } from 'vitest';
import { dkms } from '../../src/resources/dkms/index.ts';
import type { AssetFile, Input } from '../../src/resources/kind.ts';
import { KERNEL, OTHER, root } from './dkms-host.ts';
import { type ChrootHost, chrootHost, folderAsset, planOn, runSteps } from './run-steps.ts';

const folder = (path: string) => new URL(`../../${path}`, import.meta.url).pathname;
const input: Input<unknown> = {
  desired: dkms.schema.parse({ source: ['../dkms/vhost-blk', '../kmod/vhost_blk'] }),
  assets: {
    'source.0': folderAsset(folder('dkms/vhost-blk')),
    'source.1': folderAsset(folder('kmod/vhost_blk')),
  },
};
let host: ChrootHost;

beforeAll(() => {
  host = chrootHost(root);
});
afterAll(() => host.remove());

test('vhost_blk as site.yaml declares it: built for two kernels, nothing to do then, gone again', async () => {
  const files = Object.values(input.assets).flatMap((asset) => asset.files as AssetFile[]);
  const version = /PACKAGE_VERSION="([^"]+)"/.exec(
    files.find(({ path }) => path === 'dkms.conf')!.bytes.toString(),
  )![1];
  const facts = await host.facts(KERNEL);
  const first = await planOn(host, dkms, input, facts);
  const applied = await runSteps(host, first.steps);
  expect(applied.rc, applied.text).toBe(0);
  expect(applied.text).not.toMatch(/\bwarning: (?!the compiler differs)/i);
  expect((await planOn(host, dkms, input, facts)).plan).toMatchObject({ status: 'ok' });
  for (const kernel of [KERNEL, OTHER]) {
    const info = await host.run(`modinfo -k ${kernel} -F version vhost_blk; modinfo -k ${kernel} -F vermagic vhost_blk; modinfo -k ${kernel} -F srcversion vhost_blk`);
    expect(info.text).toContain(`${version}\n`);
    expect(info.text).toContain(`${kernel} `);
    expect(info.text).toMatch(/^[0-9A-F]{20,}$/m);
  }
  const absent = { desired: dkms.schema.parse({ name: 'vhost-blk', state: 'absent' }), assets: {} };
  const gone = await planOn(host, dkms, absent, facts);
  expect((await runSteps(host, gone.steps)).rc).toBe(0);
  const left = await host.run(
    "find /etc /usr/src /usr/local /usr/lib/modules /var -name '*vhost*blk*' ! -path '*/build/*' ! -path '*/headers*' ! -path '/usr/src/linux-*' -o -name '*blkfleet*'",
  );
  expect(left.text).toBe('');
});

test('the probe of an installed package is cheap', async () => {
  const there = chrootHost(root);
  try {
    const facts = await there.facts(KERNEL);
    const { steps } = await planOn(there, dkms, input, facts);
    expect((await runSteps(there, steps)).rc).toBe(0);
    const rounds = 20;
    const probe = dkms.probe([input]);
    const timed = await there.run(`bf_b() { :; }
bf_e() { :; }
i=0
while [ $i -lt ${rounds} ]; do i=$((i + 1)); (
${probe}
) >/dev/null; done
times`);
    const seconds = [...timed.text.matchAll(/(\d+)m([\d.]+)s/g)].reduce(
      (sum, [, m, s]) => sum + Number(m) * 60 + Number(s),
      0,
    );
    console.log(`probe of dkms: ${((seconds / rounds) * 1000).toFixed(1)} ms of CPU`);
    // Machines differ; what is kept away is a probe that runs dkms or hashes a tree of modules (some 100 ms).
    expect(seconds / rounds).toBeLessThan(0.06);
  } finally {
    there.remove();
  }
});
