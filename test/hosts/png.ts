import { inflateSync } from 'node:zlib';

/** Pixels in rows from the top, `channels` bytes each. */
export interface Pixels {
  width: number;
  height: number;
  channels: number;
  data: Buffer;
}

/**
 * Decodes a PNG of 8 bits a channel, RGB or RGBA, not interlaced (W3C PNG, sections 5 and 9): what browsers write.
 * @throws Error for any other
 */
export function decodePng(file: Buffer): Pixels {
  if (file.readUInt32BE(0) !== 0x89504e47) throw new Error('no PNG');
  const [width, height, depth, type, interlace] = [
    file.readUInt32BE(16),
    file.readUInt32BE(20),
    file[24],
    file[25],
    file[28],
  ];
  if (depth !== 8 || (type !== 2 && type !== 6) || interlace !== 0) throw new Error('another kind of PNG');
  const channels = type === 6 ? 4 : 3;
  const parts: Buffer[] = [];
  for (let at = 8; at < file.length; at += 12 + file.readUInt32BE(at))
    if (file.toString('latin1', at + 4, at + 8) === 'IDAT')
      parts.push(file.subarray(at + 8, at + 8 + file.readUInt32BE(at)));
  const raw = inflateSync(Buffer.concat(parts));
  const stride = width * channels;
  const data = Buffer.alloc(stride * height);
  for (let y = 0; y < height; y++) {
    const filter = raw[y * (stride + 1)];
    for (let x = 0; x < stride; x++) {
      const left = x < channels ? 0 : data[y * stride + x - channels]!;
      const up = y === 0 ? 0 : data[(y - 1) * stride + x]!;
      const corner = x < channels || y === 0 ? 0 : data[(y - 1) * stride + x - channels]!;
      const guess = [0, left, up, (left + up) >> 1, paeth(left, up, corner)][filter!];
      if (guess === undefined) throw new Error('a filter that there is not');
      data[y * stride + x] = raw[y * (stride + 1) + 1 + x]! + guess;
    }
  }
  return { width, height, channels, data };
}

function paeth(left: number, up: number, corner: number): number {
  const near = (value: number) => Math.abs(left + up - corner - value);
  if (near(left) <= near(up) && near(left) <= near(corner)) return left;
  return near(up) <= near(corner) ? up : corner;
}
