import { expect, it } from 'vitest';
import { parseModinfo } from '../../../src/facts/modinfo.ts';

it('reads a module file', () => {
  const file = parseModinfo(`filename:       /lib/modules/6.1.0-56-cloud-amd64/updates/dkms/vhost_blk.ko
version:        0.1.0
description:    virtio-blk in the kernel: fast
srcversion:     533BB7E5866E52F63B9ACCB
vermagic:       6.1.0-56-cloud-amd64 SMP preempt mod_unload modversions
sig_id:         PKCS#7
signer:         DKMS module signing key
parm:           weight:requests a turn (of 1024) (int)
parm:           trace:tell more (bool)
parm:           odd:no type
`);
  expect(file).toMatchObject({
    filename: '/lib/modules/6.1.0-56-cloud-amd64/updates/dkms/vhost_blk.ko',
    srcversion: '533BB7E5866E52F63B9ACCB',
    signer: 'DKMS module signing key',
  });
  expect([...file!.parameters]).toEqual([
    ['weight', 'int'],
    ['trace', 'bool'],
    ['odd', ''],
  ]);
});

it.each(['', 'modinfo: ERROR: Module x not found.', 'name: x\n', '\0\xff'])('tells nothing of %j', (text) => {
  expect(parseModinfo(text)).toBeUndefined();
});
