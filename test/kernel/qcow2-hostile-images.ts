import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pseudoRandom } from './qcow2-images.ts';

/** Of the disk that the images' headers tell of, before they are changed. */
export const HOSTILE_SECTORS = 2048;
const CLUSTER = 65536n;

/** A change of a good image, and whether its table must be refused; otherwise it may be, or reads and writes may fail. */
interface Hostile {
  name: string;
  refused: boolean;
  change: (image: Buffer) => Buffer | undefined;
}

const header = (name: string, change: (image: Buffer) => void, refused = true): Hostile => ({
  name,
  refused,
  change: (image) => {
    change(image);
    return undefined;
  },
});
const u32 = (at: number, value: number) => (image: Buffer) => void image.writeUInt32BE(value, at);
const u64 = (at: number, value: bigint) => (image: Buffer) => void image.writeBigUInt64BE(value, at);
/** The first entry of the table that an offset in the header leads to, and of the table that this one leads to. */
const l1 = (image: Buffer) => Number(image.readBigUInt64BE(40));
const l2 = (image: Buffer) => Number(image.readBigUInt64BE(l1(image)) & 0xfffffffffffe00n);
const refcounts = (image: Buffer) => Number(image.readBigUInt64BE(Number(image.readBigUInt64BE(48))));
const inL1 = (value: bigint) => (image: Buffer) => void image.writeBigUInt64BE(value, l1(image));
const inL2 = (value: bigint) => (image: Buffer) => void image.writeBigUInt64BE(value, l2(image));

const COPIED = 1n << 63n;
const COMPRESSED = 1n << 62n;

const hostile: readonly Hostile[] = [
  header('magic', u32(0, 0x514649fa)),
  header('version 1', u32(4, 1)),
  header('version 4', u32(4, 4)),
  ...[0, 8, 22, 31, 63, 0xffffffff].map((bits) => header(`cluster_bits ${bits}`, u32(20, bits))),
  header('size 2^63', u64(24, 1n << 63n)),
  header('size behind the L1 table', u64(24, 1n << 50n)),
  header('encryption', u32(32, 1)),
  ...[0, 0xffffffff].map((size) => header(`l1_size ${size}`, u32(36, size))),
  ...[1n, 512n, CLUSTER * 1000n, 1n << 63n, (1n << 64n) - CLUSTER].map((at) =>
    header(`l1_table_offset ${at}`, u64(40, at)),
  ),
  ...[0n, 512n, 1n << 63n, (1n << 64n) - CLUSTER].map((at) =>
    header(`refcount_table_offset ${at}`, u64(48, at)),
  ),
  ...[0, 0xffffffff].map((size) => header(`refcount_table_clusters ${size}`, u32(56, size))),
  header('nb_snapshots 2^32 - 1', u32(60, 0xffffffff)),
  header('snapshots_offset', (image) => {
    u32(60, 1)(image);
    u64(64, 513n)(image);
  }),
  ...[3n, 5n, 33n, 63n].map((bit) => header(`incompatible bit ${bit}`, u64(72, 1n << bit))),
  header('data file that is not given', u64(72, 4n)),
  header('refcount_order 7', u32(96, 7)),
  ...[0, 103, 0xffffffff].map((bytes) => header(`header_length ${bytes}`, u32(100, bytes))),
  header('compression type without its bit', (image) => void image.writeUInt8(1, 104)),
  header('backing file that is not given', (image) => {
    u64(8, 1024n)(image);
    u32(16, 11)(image);
    image.write('/etc/shadow', 1024);
  }),
  header('backing name of 1024 bytes', (image) => {
    u64(8, 1024n)(image);
    u32(16, 1024)(image);
  }),
  header('backing name behind the cluster', (image) => {
    u64(8, 65530n)(image);
    u32(16, 100)(image);
  }),
  header('extension behind the cluster', (image) => {
    image.writeUInt32BE(0x6803f857, image.readUInt32BE(100));
    image.writeUInt32BE(0xfffffff8, image.readUInt32BE(100) + 4);
  }),
  ...[100, 71, 0].map((bytes) => ({
    name: `file of ${bytes} bytes`,
    refused: true,
    change: (image: Buffer) => image.subarray(0, bytes),
  })),
  header('L2 table not on a cluster', inL1(COPIED | (CLUSTER * 4n + 512n)), false),
  header('L2 table behind the end', inL1(COPIED | (CLUSTER * 100000n)), false),
  header('L2 table in the header', inL1(COPIED | CLUSTER | 0x200n), false),
  header('L2 table in the L1 table', (image) => inL1(COPIED | BigInt(l1(image)))(image), false),
  header('L2 table at 2^55', inL1(COPIED | (1n << 55n)), false),
  header('cluster not on a cluster', inL2(COPIED | (CLUSTER * 5n + 512n)), false),
  header('cluster behind the end', inL2(COPIED | (CLUSTER * 100000n)), false),
  header('cluster at 2^55', inL2(COPIED | (1n << 55n)), false),
  header('cluster in the L1 table', (image) => inL2(COPIED | BigInt(l1(image)))(image), false),
  header('cluster in its L2 table', (image) => inL2(COPIED | BigInt(l2(image)))(image), false),
  header('cluster in the refcounts', (image) => inL2(COPIED | BigInt(refcounts(image)))(image), false),
  header('compressed cluster behind the end', inL2(COMPRESSED | (CLUSTER * 100000n)), false),
  header('compressed cluster of noise', inL2(COMPRESSED | (0x7fn << 54n) | 0x12345n), false),
  header('refcounts of 0', (image) => void image.fill(0, refcounts(image), refcounts(image) + 512), false),
  header(
    'refcounts of 65535',
    (image) => void image.fill(255, refcounts(image), refcounts(image) + 512),
    false,
  ),
  header('refcount block not on a cluster', (image) => u64(Number(CLUSTER), CLUSTER + 1n)(image), false),
  header('refcount block behind the end', (image) => u64(Number(CLUSTER), CLUSTER * 100000n)(image), false),
  header('refcount block in the header', (image) => u64(Number(CLUSTER), 1n << 9n)(image), false),
];

/** A few numbers of the metadata changed, or the file cut. */
function mutate(good: Buffer, seed: number): Buffer {
  const next = pseudoRandom(seed + 1);
  const image = Buffer.from(good);
  const places = [0, l1(image), l2(image), refcounts(image), Number(CLUSTER)];
  for (let i = 0; i <= next(5); i++) {
    const at = places[next(places.length)]! + next(14) * 8;
    const value = [
      image.readBigUInt64BE(at) ^ (1n << BigInt(next(64))),
      1n << BigInt(next(64)),
      (1n << BigInt(next(64))) - 1n,
      COPIED | (CLUSTER * BigInt(next(20))),
      COMPRESSED | (BigInt(next(2 ** 31)) * BigInt(next(2 ** 31))),
    ][next(5)]!;
    image.writeBigUInt64BE(value, at);
  }
  return next(8) === 0 ? image.subarray(0, next(image.length)) : image;
}

function goodImage(folder: string): Buffer {
  const file = join(folder, 'good.qcow2');
  execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', file, `${HOSTILE_SECTORS * 512}`]);
  execFileSync('qemu-io', ['-f', 'qcow2', '-c', 'write -P 1 0 200k', '-c', 'write -c -P 2 512k 64k', file]);
  return readFileSync(file);
}

/**
 * Makes hostile images, INDEX.qcow2 each, in a folder that is made.
 * @param mutated how many beside the listed ones have numbers of their metadata changed at random
 * @param first number of the first of these; other numbers are other images
 * @returns what they are, by index
 */
export function makeHostileImages(
  folder: string,
  mutated: number,
  first = 0,
): { name: string; refused: boolean }[] {
  mkdirSync(folder);
  const good = goodImage(folder);
  const write = (index: number, image: Buffer) => writeFileSync(join(folder, `${index}.qcow2`), image);
  const cases = hostile.map(({ name, refused, change }, index) => {
    const image = Buffer.from(good);
    write(index, change(image) ?? image);
    return { name, refused };
  });
  const others = Array.from({ length: mutated }, (_, index) => {
    write(cases.length + index, mutate(good, first + index));
    return { name: `mutation ${first + index}`, refused: false };
  });
  return [...cases, ...others];
}

/** Commands for the guest: each image is read, then written where that can be; what a device answers is no matter. */
export function hostileSteps(count: number): string {
  return `cd /images
i=0
while [ $i -lt ${count} ]; do
	for mode in ro rw; do
		if qcow2-load t ${HOSTILE_SECTORS} $mode 1 qcow2:$i.qcow2 >/dev/null 2>&1; then
			echo "@@loaded $mode $i"
			dd if=/dev/mapper/t of=/dev/null bs=64k iflag=direct 2>/dev/null
			[ $mode = ro ] || dd if=/dev/zero of=/dev/mapper/t bs=48k oflag=direct 2>/dev/null
			[ $mode = ro ] || dd if=/dev/zero of=/dev/mapper/t bs=4k seek=3 count=1 conv=fsync 2>/dev/null
			blkfleet-qcow2 detach t || echo "@@stuck $i"
		else
			echo "@@refused $mode $i"
		fi
	done
	i=$((i + 1))
done
find . -size +20480k | sed 's/^/@@large /'
cd /`;
}
