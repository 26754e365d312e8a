// A font with one letter, a block, for every character: with it a page is laid out alike on every machine, whatever
// fonts that has. It is made here, since it is shorter than any file of one.
const em = 1000;
const advance = 520;

/** blockFont returns the bytes of a TrueType font. */
export function blockFont() {
  const tables = { 'OS/2': os2(), cmap: cmap(), glyf: glyf(), head: head(), hhea: hhea(), hmtx: hmtx() };
  Object.assign(tables, { loca: shorts(0, 0, 0, glyf().length / 2), maxp: maxp(), name: name(), post: post() });
  return assemble(tables);
}

const shorts = (...numbers) => {
  const buffer = Buffer.alloc(2 * numbers.length);
  numbers.forEach((number, i) => buffer.writeUInt16BE(number & 0xffff, 2 * i));
  return buffer;
};
const longs = (...numbers) => shorts(...numbers.flatMap((number) => [Math.floor(number / 65_536), number % 65_536]));

/** Glyph 0 and 1 are empty; glyph 2 is a block from the line to the height of small letters. */
function glyf() {
  const [left, right, top] = [50, advance - 50, 540];
  const outline = shorts(1, left, 0, right, top, 3, 0);
  const points = Buffer.from([1, 1, 1, 1]);
  return Buffer.concat([outline, points, shorts(left, 0, right - left, 0), shorts(0, top, 0, -top)]);
}

/** One format of many characters for one glyph: spaces are empty, all others are blocks. */
function cmap() {
  const groups = [
    [0, 0x20, 1],
    [0x21, 0x9f, 2],
    [0xa0, 0xa0, 1],
    [0xa1, 0x1fff, 2],
    [0x2000, 0x200f, 1],
    [0x2010, 0x2027, 2],
    [0x2028, 0x202f, 1],
    [0x2030, 0x2065, 2],
    [0x2066, 0x2069, 1],
    [0x206a, 0x10fffd, 2],
  ];
  const table = Buffer.concat([
    shorts(13, 0),
    longs(16 + 12 * groups.length, 0, groups.length),
    longs(...groups.flat()),
  ]);
  return Buffer.concat([shorts(0, 1, 3, 10), longs(12), table]);
}

const head = () => Buffer.concat([longs(0x10000, 0x10000, 0, 0x5f0f3cf5), shorts(3, em), longs(0, 0, 0, 0), headEnd()]);
const headEnd = () => shorts(0, -250, advance, 950, 0, 8, 2, 0, 0);
const hhea = () =>
  Buffer.concat([longs(0x10000), shorts(950, -250, 0, advance, 0, 0, advance, 1, 0, 0, 0, 0, 0, 0, 0, 3)]);
const hmtx = () => shorts(advance, 0, advance, 0, advance, 50);
const maxp = () => Buffer.concat([longs(0x10000), shorts(3, 4, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0)]);
const post = () => Buffer.concat([longs(0x30000, 0), shorts(-100, 50), longs(1, 0, 0, 0, 0)]);

function os2() {
  const sizes = [650, 600, 0, 75, 650, 600, 0, 350, 50, 300];
  const begin = shorts(4, advance, 400, 5, 0, ...sizes, 0);
  const family = Buffer.alloc(10);
  const end = shorts(0x40, 0x20, 0xffff, 950, -250, 0, 950, 250);
  return Buffer.concat([
    begin,
    family,
    longs(0, 0, 0, 0),
    Buffer.from('NONE'),
    end,
    longs(1, 0),
    shorts(540, 700, 0, 0x20, 1),
  ]);
}

function name() {
  const text = Buffer.from('Block', 'utf16le').swap16();
  const ids = [1, 2, 3, 4, 6];
  const records = ids.flatMap((id) => [3, 1, 0x409, id, text.length, 0]);
  return Buffer.concat([shorts(0, ids.length, 6 + 12 * ids.length, ...records), text]);
}

function assemble(tables) {
  const names = Object.keys(tables).sort();
  const records = [];
  const bodies = [];
  let offset = 12 + 16 * names.length;
  for (const tag of names) {
    const body = tables[tag];
    const padded = Buffer.concat([body, Buffer.alloc(-body.length & 3)]);
    records.push(Buffer.from(tag.padEnd(4)), longs(sumOf(padded), offset, body.length));
    bodies.push(padded);
    offset += padded.length;
  }
  const [range, log] = [128, 3];
  const header = Buffer.concat([longs(0x10000), shorts(names.length, range, log, 16 * names.length - range)]);
  return Buffer.concat([header, ...records, ...bodies]);
}

function sumOf(buffer) {
  let sum = 0;
  for (let i = 0; i < buffer.length; i += 4) sum = (sum + buffer.readUInt32BE(i)) % 2 ** 32;
  return sum;
}
