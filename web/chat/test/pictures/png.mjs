// Pictures as PNG files, as far as screenshots need it: eight bits a channel, no interlacing.
import { inflateSync } from 'node:zlib';

/** decode returns { width, height, channels, data } of a picture with three or four channels. */
export function decode(file) {
  const width = file.readUInt32BE(16);
  const height = file.readUInt32BE(20);
  const channels = { 2: 3, 6: 4 }[file[25]];
  if (!channels || file[24] !== 8 || file[28] !== 0) throw new Error('not a picture of this kind');
  const parts = [];
  for (let at = 8; at < file.length; at += 12 + file.readUInt32BE(at))
    if (file.toString('latin1', at + 4, at + 8) === 'IDAT')
      parts.push(file.subarray(at + 8, at + 8 + file.readUInt32BE(at)));
  return {
    width,
    height,
    channels,
    data: unfilter(inflateSync(Buffer.concat(parts)), width * channels, height, channels),
  };
}

/** Each kind of line has a loop of its own: this is where the test spends its time. */
function unfilter(raw, size, height, channels) {
  const data = new Uint8Array(size * height);
  for (let y = 0; y < height; y++) {
    const from = y * (size + 1) + 1;
    const line = data.subarray(y * size, (y + 1) * size);
    const above = y === 0 ? new Uint8Array(size) : data.subarray((y - 1) * size, y * size);
    line.set(raw.subarray(from, from + size));
    lines[raw[from - 1]](line, above, channels);
  }
  return data;
}

const lines = [
  () => {},
  (line, _, n) => {
    for (let x = n; x < line.length; x++) line[x] += line[x - n];
  },
  (line, above) => {
    for (let x = 0; x < line.length; x++) line[x] += above[x];
  },
  (line, above, n) => {
    for (let x = 0; x < n; x++) line[x] += above[x] >> 1;
    for (let x = n; x < line.length; x++) line[x] += (line[x - n] + above[x]) >> 1;
  },
  (line, above, n) => {
    for (let x = 0; x < n; x++) line[x] += above[x];
    for (let x = n; x < line.length; x++) {
      const [a, b, c] = [line[x - n], above[x], above[x - n]];
      const [pa, pb, pc] = [Math.abs(b - c), Math.abs(a - c), Math.abs(a + b - 2 * c)];
      line[x] += pa <= pb && pa <= pc ? a : pb <= pc ? b : c;
    }
  },
];
