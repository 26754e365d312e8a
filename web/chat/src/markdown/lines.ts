// Code in parts of some lines: what grows lays out its last part alone, and colours that come change only what they
// colour anew.
import type { Piece } from './highlight.ts';

const linesATime = 50;

/** partsOf cuts pieces at the ends of lines. The end itself is left out: a part is a block. */
export function partsOf(pieces: readonly Piece[]): Piece[][] {
  const parts: Piece[][] = [[]];
  const classes: string[] = [];
  let open = [parts[0]!];
  let lines = 0;
  let before = '\n';
  const next = () => {
    const part: Piece[] = [];
    parts.push(part);
    open = [part];
    lines = 0;
    for (const name of classes) enter(name);
  };
  const enter = (name: string) => {
    const inside: Piece[] = [];
    open[open.length - 1]!.push([name, inside]);
    open.push(inside);
  };
  const put = (text: string) => text && open[open.length - 1]!.push(text);
  const walk = (piece: Piece) => {
    if (typeof piece === 'string') {
      let from = 0;
      for (let at = piece.indexOf('\n'); at >= 0; at = piece.indexOf('\n', at + 1)) {
        // A part that ended with an empty line would not show it.
        if (++lines < linesATime || (at > 0 ? piece[at - 1] : before) === '\n') continue;
        put(piece.slice(from, at));
        from = at + 1;
        next();
      }
      put(piece.slice(from));
      if (piece) before = piece[piece.length - 1]!;
      return;
    }
    classes.push(piece[0]);
    enter(piece[0]);
    piece[1].forEach(walk);
    classes.pop();
    open.pop();
  };
  pieces.forEach(walk);
  return parts;
}

/** isSame tells whether two lists of pieces show the same. */
export function isSame(a: readonly Piece[], b: readonly Piece[]): boolean {
  if (a === b) return true;
  return (
    a.length === b.length &&
    a.every((one, i) => {
      const other = b[i]!;
      if (typeof one === 'string' || typeof other === 'string') return one === other;
      return one[0] === other[0] && isSame(one[1], other[1]);
    })
  );
}
