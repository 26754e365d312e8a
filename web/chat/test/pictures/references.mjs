// The references of a group of scenes, in one file: names and sizes, then colours. They are compressed together, since
// the pictures of a group are largely alike: that takes a fifth of what one PNG file for each takes.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync, brotliDecompressSync, constants } from 'node:zlib';

const folder = join(import.meta.dirname, 'references');
const fileOf = (group) => join(folder, `${group.replaceAll(/\W+/g, '-')}.br`);

/** read returns the reduced pictures of a group by their names. */
export function read(group) {
  if (!existsSync(fileOf(group))) return new Map();
  const whole = brotliDecompressSync(readFileSync(fileOf(group)));
  let at = whole.indexOf('\n') + 1;
  const sizes = JSON.parse(whole.toString('utf8', 0, at));
  return new Map(
    sizes.map(([name, width, height]) => {
      const data = whole.subarray(at, (at += 3 * width * height));
      return [name, { width, height, channels: 3, data }];
    }),
  );
}

export function write(group, pictures) {
  const sizes = Array.from(pictures, ([name, { width, height }]) => [name, width, height]);
  const head = Buffer.from(`${JSON.stringify(sizes)}\n`);
  const whole = Buffer.concat([head, ...Array.from(pictures.values(), ({ data }) => data)]);
  const params = { [constants.BROTLI_PARAM_LGWIN]: 22, [constants.BROTLI_PARAM_SIZE_HINT]: whole.length };
  mkdirSync(folder, { recursive: true });
  writeFileSync(fileOf(group), brotliCompressSync(whole, { params }));
}
