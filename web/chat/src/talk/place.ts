// Where a reader of a talk is: pure rules of the list's place.

/** Within so many pixels of the end the end is followed. */
export const nearPx = 64;

export interface Scroll {
  top: number;
  height: number;
  size: number;
}

export function isNearEnd({ top, height, size }: Scroll): boolean {
  return height - size - top <= nearPx;
}

/** isFollowing tells whether the end is followed after a scroll: only a move of the reader away from it ends that,
 * growth does not, and neither does a line that has become shorter, as when another version takes its place. */
export function isFollowing(before: boolean, was: Scroll, is: Scroll): boolean {
  if (isNearEnd(is)) return true;
  return before && (is.top >= was.top - 1 || is.height < was.height);
}

/** How two lists that follow each other on the screen are related. */
export function relation(
  before: readonly { id: string; index: number }[],
  after: readonly { id: string; index: number }[],
): 'same' | 'front' | 'other' {
  if (before.length === 0) return after.length === 0 ? 'same' : 'other';
  if (after.length === 0) return 'other';
  const first = before[0]!;
  if (after[0]!.id === first.id) return 'same';
  // Something came or went in front when the one begins within the other.
  const isWithin = after.some(({ id }) => id === first.id) || before.some(({ id }) => id === after[0]!.id);
  return isWithin ? 'front' : 'other';
}
