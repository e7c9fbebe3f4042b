import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { parseDomains } from '../../../../src/resources/qemu_drive_defaults/libvirt/domain.ts';
import { nativeProblems, shellSplit } from '../../../../src/resources/qemu_drive_defaults/libvirt/native.ts';
import {
  domainByProfile,
  domainRestored,
} from '../../../../src/resources/qemu_drive_defaults/libvirt/policy.ts';
import { parseLibvirt } from '../../../../src/resources/qemu_drive_defaults/libvirt/probe.ts';
import {
  applyEdits,
  attribute,
  parseDocuments,
  setAttributes,
} from '../../../../src/resources/qemu_drive_defaults/libvirt/xml.ts';
import { qemuDriveDefaultsSchema } from '../../../../src/resources/qemu_drive_defaults/schema.ts';

const UUID = '080febe8-1b50-4b21-a5b9-61db8d1db0fe';
const xml = (devices: string, more = '') =>
  `<domain type='kvm'>\n  <name>web</name>\n  <uuid>${UUID}</uuid>\n${more}  <devices>\n${devices}  </devices>\n</domain>`;
const disk = (driver: string, more = '') =>
  `    <disk type='block' device='disk'>\n      ${driver}\n      <source dev='/dev/vg/a'/>\n      <target dev='vda' bus='virtio'/>${more}\n    </disk>\n`;
const domain = (text: string) => parseDomains(text)[0]!;
const profile = (more: object = {}) => qemuDriveDefaultsSchema.parse({ iothreads: 1, ...more });
const stock = { sockets: new Map<string, string>(), mapping: false };

describe('XML of libvirt', () => {
  it('is read with the places of what it holds', () => {
    const text = `<!-- a --> <a b='1 &lt; &#x263a;' c="2"><b/>t&amp;<![CDATA[<x>]]><!-- <c/> --></a>\n\n<d/>`;
    const [a, d] = parseDocuments(text);
    expect(attribute(a, 'b')).toBe(`1 < ${Buffer.from('☺').toString('latin1')}`);
    expect(a!.text).toBe('t&<x>');
    expect(a!.children.map(({ name }) => name)).toEqual(['b']);
    expect(text.slice(a!.children[0]!.start, a!.children[0]!.end)).toBe('<b/>');
    expect(d!.name).toBe('d');
  });

  it.each([
    ['an open element', '<a>', 'no end'],
    ['a wrong end', '<a></b>', 'no </a'],
    ['an attribute that is there twice', "<a b='1' b='2'/>", 'twice'],
    ['< in an attribute', "<a b='<'/>", '< in an attribute'],
    ['an entity of its own', '<a>&me;</a>', 'no entity'],
    ['a document type', '<!DOCTYPE a [<!ENTITY b "c">]><a/>', 'no name'],
    ['a declaration', '<?xml version="1.0"?><a/>', 'no name'],
    ['text alone', 'text', 'no <'],
    ['100 levels', '<a>'.repeat(100), 'too deep'],
    ['60000 elements', '<a/>'.repeat(60_000), 'too many'],
    ['what is no character', "<a b='&#x110000;'/>", 'no entity'],
  ])('refuses %s', (_, text, message) => {
    expect(() => parseDocuments(text)).toThrow(message);
  });

  it('any cut of a definition is refused, never another failure', () => {
    const text = xml(disk("<driver name='qemu' type='raw'/>"));
    for (let end = 1; end < text.length; end += 1)
      expect(() => parseDocuments(text.slice(0, end))).toThrow(/at byte \d+/);
  });

  it('an edit changes what it means to change and nothing beside it', () => {
    const text = `<d  a='1'   b="2" />`;
    const [element] = parseDocuments(text);
    expect(applyEdits(text, setAttributes(element!, { a: '1', b: null, c: `x'&` }, text))).toBe(
      `<d  a='1' c='x&apos;&amp;' />`,
    );
    expect(applyEdits(text, setAttributes(element!, { a: null, b: '3' }, text))).toBe(`<d   b='3' />`);
  });
});

describe('the policy', () => {
  it('owns its attributes and leaves the others', () => {
    const text = xml(disk("<driver name='qemu' type='qcow2' cache='unsafe' copy_on_read='on' queues='7'/>"));
    const made = domainByProfile(profile(), domain(text), undefined, stock);
    expect(made.text).toContain(
      "<driver name='qemu' type='qcow2' cache='none' copy_on_read='on' io='native' discard='unmap' detect_zeroes='off' queue_size='256' iothread='1'/>",
    );
    expect(made.text.match(/<iothreads>1<\/iothreads>/)).not.toBeNull();
    expect(made.drift[0]).toMatchObject({ target: 'vda' });
    expect(made.drift[0]!.from).toContain('cache=unsafe');
    expect(made.drift[0]!.to).toContain('queues=unset');
    expect(domainByProfile(profile(), domain(made.text), undefined, stock)).toMatchObject({
      text: made.text,
      drift: [],
    });
  });

  it('spreads virtqueues over iothreads where they can be, and back', () => {
    const text = xml(disk("<driver name='qemu' type='raw'/>"));
    const wide = profile({ iothreads: 3, queues: 4 });
    const made = domainByProfile(wide, domain(text), undefined, { ...stock, mapping: true });
    expect(made.text).toContain(
      "<iothreads><iothread id='1'/><iothread id='2'/><iothread id='3'/></iothreads></driver>",
    );
    expect(made.text).not.toContain('iothread=');
    const old = domainByProfile(wide, domain(made.text), undefined, stock);
    expect(old.text).toContain("iothread='1'");
    expect(old.text).not.toContain('<iothread id');
    const restored = domainRestored(domain(made.text), domain(text));
    expect(restored.drift.length).toBeGreaterThan(0);
    expect(
      restored.text.replace(/<driver name='qemu' type='raw'><\/driver>/, "<driver name='qemu' type='raw'/>"),
    ).toBe(text);
  });

  it.each([
    ["<driver name='qemu' type='qcow2'/>", '', 'raw disks only'],
    ["<driver name='qemu' type='raw'/>", '<iotune/>', 'refuses <iotune>'],
  ])('%s%s stays out of the socket', (driver, more, reason) => {
    const offers = { sockets: new Map([['/dev/vg/a', '/run/vhost-blk/a.sock']]), mapping: false };
    const made = domainByProfile(profile(), domain(xml(disk(driver, more))), undefined, offers);
    expect(made.text).not.toContain('vhostuser');
    expect(made.left.join()).toContain(reason);
  });

  it('a disk that comes back from behind the socket has the profile at once, and private memory', () => {
    const offers = { sockets: new Map([['/dev/vg/a', '/run/vhost-blk/a.sock']]), mapping: false };
    const text = xml(disk("<driver name='qemu' type='raw'/>"));
    const behind = domainByProfile(profile(), domain(text), undefined, offers).text;
    expect(behind).toContain("type='vhostuser'");
    const back = domainByProfile(
      profile({ data_path: 'virtio-blk' }),
      domain(behind),
      domain(text),
      offers,
    ).text;
    expect(back).toBe(domainByProfile(profile(), domain(text), undefined, stock).text);
  });

  it('keeps huge pages where memory becomes shared', () => {
    const offers = { sockets: new Map([['/dev/vg/a', '/run/vhost-blk/a.sock']]), mapping: false };
    const text = xml(
      disk("<driver name='qemu' type='raw'/>"),
      '  <memoryBacking>\n    <hugepages/>\n  </memoryBacking>\n',
    );
    const made = domainByProfile(profile(), domain(text), undefined, offers);
    expect(made.text).toMatch(/<hugepages\/>\s*<access mode='shared'\/><\/memoryBacking>/);
    expect(made.text).not.toContain('memfd');
    const restored = domainRestored(domain(made.text), domain(text));
    expect(restored.text).toBe(text);
  });
});

describe('the command line that libvirt makes', () => {
  const native = (blockdev: object, device: object) =>
    `PATH=/bin HOME='/a b' /usr/bin/qemu-system-x86_64 -name 'guest=it'\\''s' -blockdev '${JSON.stringify(blockdev)}' -device '${JSON.stringify(device)}'`;
  const node = {
    driver: 'host_device',
    'node-name': 'n',
    aio: 'native',
    cache: { direct: true },
    discard: 'unmap',
  };
  const device = {
    driver: 'virtio-blk-pci',
    id: 'virtio-disk0',
    drive: 'n',
    'num-queues': 2,
    'queue-size': 256,
  };
  const text = xml(disk("<driver name='qemu' type='raw'/>"));

  it('is taken apart as a shell does it', () => {
    expect(shellSplit(native(node, device))[3]).toBe('-name');
    expect(shellSplit(native(node, device))[4]).toBe("guest=it's");
    expect(shellSplit("a\\ b 'c")).toEqual(['a b', 'c']);
  });

  it('says what does not get to QEMU', () => {
    const of = (a: object, b: object) => nativeProblems(domain(text), native(a, b), profile({ queues: 2 }));
    expect(of(node, device)).toEqual([]);
    expect(of({ ...node, aio: 'threads' }, device)).toEqual(['vda aio is threads, not native']);
    expect(of(node, { ...device, 'num-queues': 4 })).toEqual(['vda queues is 4, not 2']);
    expect(of(node, { ...device, id: 'other' })).toEqual([
      'vda is not among the devices of its command line',
    ]);
    expect(nativeProblems(domain(text), "'{", profile())).toHaveLength(1);
  });
});

describe('what libvirt answers', () => {
  it.each([[['dumps ???']], [['dumps H4sI']], [['uri qemu:///$(x)']], [['nonsense']]])(
    '%j is refused',
    (lines) => {
      expect(() => parseLibvirt(lines)).toThrow();
    },
  );

  it('command lines are told apart, though virsh ends no line between them', () => {
    const other = UUID.replace('0', '1');
    const text = `native ${UUID}A=1 /usr/bin/qemu -S\n\nnative ${other}error: Requested operation is not valid\n`;
    const { natives } = parseLibvirt(['asked', `natives ${gzipSync(text).toString('base64')}`]);
    expect([...natives]).toEqual([
      [UUID, 'A=1 /usr/bin/qemu -S'],
      [other, 'error: Requested operation is not valid'],
    ]);
  });

  it('a uuid that is none chooses nothing', () => {
    expect(parseLibvirt(['asked', 'chosen ../../etc']).chosen.size).toBe(0);
  });
});
