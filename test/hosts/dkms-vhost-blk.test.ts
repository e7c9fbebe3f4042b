import { afterAll, beforeAll, expect, test } from 'vitest';
import type { HostFacts } from '../../src/facts/facts.ts';
import { shellQuote } from '../../src/lib/shell.ts';
import { dkms } from '../../src/resources/dkms/index.ts';
import type { Input } from '../../src/resources/kind.ts';
import { KERNEL, OTHER, root } from './dkms-host.ts';
import {
  type ChrootHost,
  chrootHost,
  folderAsset,
  type Outcome,
  plainFrames,
  planOn,
  runSteps,
} from './run-steps.ts';

const folder = (path: string) => new URL(`../../${path}`, import.meta.url).pathname;
const input: Input<unknown> = {
  desired: dkms.schema.parse({ source: ['../dkms/vhost-blk', '../kmod/vhost_blk'] }),
  assets: {
    'source.0': folderAsset(folder('dkms/vhost-blk')),
    'source.1': folderAsset(folder('kmod/vhost_blk')),
  },
};
let host: ChrootHost;
let applied: Outcome;
let facts: HostFacts;

beforeAll(async () => {
  host = chrootHost(root);
  facts = await host.facts(KERNEL);
  const { steps } = await planOn(host, dkms, input, facts);
  applied = await runSteps(host, steps);
});
afterAll(() => host.remove());

test('vhost_blk as site.yaml declares it is built for two kernels without a warning', async () => {
  const conf = input.assets['source.0']!.files!.find(({ path }) => path === 'dkms.conf')!;
  const version = /PACKAGE_VERSION="([^"]+)"/.exec(conf.bytes.toString())![1];
  expect(applied.rc, applied.text).toBe(0);
  // Of the compiler, at a place in the source, and of modpost: other tools of the build warn of their own files.
  expect(applied.text).not.toMatch(/\.[ch]:\d+(?::\d+)?: warning:|^WARNING: modpost/m);
  expect((await planOn(host, dkms, input, facts)).plan).toMatchObject({ status: 'ok' });
  for (const kernel of [KERNEL, OTHER]) {
    const of = async (field: string) =>
      (await host.run(`modinfo -k ${kernel} -F ${field} vhost_blk`)).text.trim();
    expect(await of('version')).toBe(version);
    expect((await of('vermagic')).split(' ')[0]).toBe(kernel);
    expect(await of('srcversion')).toMatch(/^[0-9A-F]{20,}$/);
  }
});

test('the probe that each later run makes starts three programs, and dkms is none of them', async () => {
  const programs = [
    'grep',
    'find',
    'sha256sum',
    'sort',
    'readlink',
    'stat',
    'cat',
    'head',
    'sed',
    'id',
    'ls',
    'dkms',
  ];
  const ran = await host.run(`mkdir /tmp/seen
for name in ${programs.join(' ')}; do
  program=$(command -v "$name")
  printf '#!/bin/sh\\necho %s >> /tmp/ran\\nexec %s "$@"\\n' "$name" "$program" > "/tmp/seen/$name"
done
chmod 755 /tmp/seen/*
PATH=/tmp/seen:$PATH
${plainFrames}{
${dkms.probe([input])}
} >/dev/null
PATH=\${PATH#*:}
cat /tmp/ran; rm -r /tmp/seen /tmp/ran`);
  expect(ran.text.trim().split('\n')).toEqual(['grep', 'find', 'sha256sum']);
});

test('an entry more in the folder of the source is seen, whatever its name', async () => {
  const forged = `x\n${'0'.repeat(64)}  /usr/local/lib/blkfleet`;
  for (const name of ['more', 'evil\r', 'two\nlines', forged]) {
    const path = shellQuote(`/usr/src/vhost-blk-0.1.0/${name}`);
    expect((await host.run(`mkdir -p ${path}/one && touch ${path}/kernel-hook`)).rc).toBe(0);
    const { plan } = await planOn(host, dkms, input, facts);
    expect(plan, JSON.stringify(name)).toMatchObject({ status: 'blocked' });
    const first = shellQuote(`/usr/src/vhost-blk-0.1.0/${name.split('/')[0]}`);
    expect((await host.run(`rm -r ${first}`)).rc).toBe(0);
    expect((await planOn(host, dkms, input, facts)).plan.status).toBe('ok');
  }
});

test('it goes without a trace', async () => {
  const absent = { desired: dkms.schema.parse({ name: 'vhost-blk', state: 'absent' }), assets: {} };
  const gone = await planOn(host, dkms, absent, facts);
  expect((await runSteps(host, gone.steps)).rc).toBe(0);
  const left = await host.run(
    "cd / && find etc usr/src usr/local usr/lib/modules/*/updates var -name '*vhost*blk*' -o -name '*blkfleet*'",
  );
  expect(left.stdout.toString()).toBe('');
});
