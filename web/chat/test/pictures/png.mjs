// Pictures as PNG files, as far as screenshots and references need it: eight bits a channel, no interlacing.
import { crc32, deflateSync, inflateSync } from 'node:zlib';

const signature = Buffer.from('89504e470d0a1a0a', 'hex');

/** decode returns { width, height, channels, data } of a picture with three or four channels. */
export function decode(file) {
  const width = file.readUInt32BE(16);
  const height = file.readUInt32BE(20);
  const channels = { 2: 3, 6: 4 }[file[25]];
  if (!channels || file[24] !== 8 || file[28] !== 0) throw new Error('not a picture of this kind');
  const parts = [];
  for (let at = 8; at < file.length; at += 12 + file.readUInt32BE(at))
    if (file.toString('latin1', at + 4, at + 8) === 'IDAT') parts.push(file.subarray(at + 8, at + 8 + file.readUInt32BE(at)));
  return { width, height, channels, data: unfilter(inflateSync(Buffer.concat(parts)), width * channels, height, channels) };
}

function unfilter(raw, size, height, channels) {
  const data = Buffer.alloc(size * height);
  for (let y = 0; y < height; y++) {
    const [from, to] = [y * (size + 1) + 1, y * size];
    const filter = raw[from - 1];
    for (let x = 0; x < size; x++) {
      const a = x < channels ? 0 : data[to + x - channels];
      const b = y === 0 ? 0 : data[to + x - size];
      const c = x < channels || y === 0 ? 0 : data[to + x - size - channels];
      data[to + x] = raw[from + x] + guess(filter, a, b, c);
    }
  }
  return data;
}

function guess(filter, a, b, c) {
  if (filter === 0) return 0;
  if (filter === 1) return a;
  if (filter === 2) return b;
  if (filter === 3) return (a + b) >> 1;
  const [pa, pb, pc] = [Math.abs(b - c), Math.abs(a - c), Math.abs(a + b - 2 * c)];
  return pa <= pb && pa <= pc ? a : pb <= pc ? b : c;
}

/** encode writes three channels, each line as what differs from the one above it. */
export function encode({ width, height, data }) {
  const size = 3 * width;
  const raw = Buffer.alloc((size + 1) * height);
  for (let y = 0; y < height; y++) {
    raw[y * (size + 1)] = 2;
    for (let x = 0; x < size; x++)
      raw[y * (size + 1) + 1 + x] = data[y * size + x] - (y === 0 ? 0 : data[(y - 1) * size + x]);
  }
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 2], 8);
  const body = deflateSync(raw, { level: 9 });
  return Buffer.concat([signature, chunk('IHDR', header), chunk('IDAT', body), chunk('IEND', Buffer.alloc(0))]);
}

function chunk(name, body) {
  const inside = Buffer.concat([Buffer.from(name), body]);
  const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(body.length);
  sum.writeUInt32BE(crc32(inside));
  return Buffer.concat([length, inside, sum]);
}
