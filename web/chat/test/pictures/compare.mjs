// How pictures are compared: each is reduced to the mean colours of its blocks, and a picture differs when some blocks
// do. So a reference is small, and the edges of letters and curves may be drawn a little otherwise.
/** The side of a block in pixels. */
export const side = 8;
/** How far a channel of a block may be off, of 255. */
const near = 8;
/** So many blocks may be off: one that stands alone is an edge that falls on another pixel. */
const few = 2;

/** reduce returns a picture with one pixel a block. */
export function reduce({ width, height, channels, data }) {
  const small = { width: Math.ceil(width / side), height: Math.ceil(height / side), channels: 3 };
  const means = Buffer.alloc(3 * small.width * small.height);
  for (let top = 0, at = 0; top < height; top += side)
    for (let left = 0; left < width; left += side, at += 3) {
      const [right, bottom] = [Math.min(left + side, width), Math.min(top + side, height)];
      let [r, g, b] = [0, 0, 0];
      for (let y = top; y < bottom; y++) {
        const end = (y * width + right) * channels;
        for (let i = (y * width + left) * channels; i < end; i += channels) {
          r += data[i];
          g += data[i + 1];
          b += data[i + 2];
        }
      }
      const count = (right - left) * (bottom - top);
      // In steps of four, which are smaller when compressed; nobody sees them, and near is more.
      [r, g, b].forEach((sum, c) => (means[at + c] = Math.min(255, 4 * Math.round(sum / count / 4))));
    }
  return { ...small, data: means };
}

/** differences returns where two reduced pictures differ: boxes in pixels of the whole picture, the largest first. */
export function differences(now, reference) {
  if (now.width !== reference.width || now.height !== reference.height)
    return [
      { x: 0, y: 0, width: side * now.width, height: side * now.height, blocks: now.width * now.height, off: 255 },
    ];
  const off = new Uint8Array(now.width * now.height);
  let count = 0;
  for (let i = 0; i < off.length; i++) {
    const [r, g, b] = [0, 1, 2].map((c) => Math.abs(now.data[3 * i + c] - reference.data[3 * i + c]));
    off[i] = Math.max(r, g, b) > near ? Math.max(r, g, b) : 0;
    if (off[i]) count++;
  }
  return count > few ? boxesOf(off, now.width).sort((a, b) => b.blocks - a.blocks) : [];
}

/** Blocks that differ, with those at most two apart taken together. */
function boxesOf(off, width) {
  const boxes = [];
  for (let start = 0; start < off.length; start++) {
    if (!off[start]) continue;
    const box = { left: width, right: 0, top: Infinity, bottom: 0, blocks: 0, off: 0 };
    const next = [start];
    while (next.length > 0) {
      const at = next.pop();
      if (!off[at]) continue;
      const [x, y] = [at % width, Math.floor(at / width)];
      box.left = Math.min(box.left, x);
      box.right = Math.max(box.right, x);
      box.top = Math.min(box.top, y);
      box.bottom = Math.max(box.bottom, y);
      box.blocks++;
      box.off = Math.max(box.off, off[at]);
      off[at] = 0;
      for (let dy = -2; dy <= 2; dy++)
        for (let dx = -2; dx <= 2; dx++)
          if (x + dx >= 0 && x + dx < width && off[at + dy * width + dx]) next.push(at + dy * width + dx);
    }
    const { left, right, top, bottom, ...rest } = box;
    const size = { width: (right - left + 1) * side, height: (bottom - top + 1) * side };
    boxes.push({ x: left * side, y: top * side, ...size, ...rest });
  }
  return boxes;
}
