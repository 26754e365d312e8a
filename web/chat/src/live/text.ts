// The rule for a text that grows, of docs/protocol.md: no character is lost or repeated, whatever was cut.

/** What is held of a reply while it is written. Offsets count UTF-16 code units, as length and slice do. */
export interface Growing {
  readonly attempt: number;
  readonly content: string;
  readonly reasoning: string;
}

export interface Piece {
  readonly attempt: number;
  readonly of: 'content' | 'reasoning';
  readonly offset: number;
  readonly text: string;
}

/**
 * grow returns what is held after a piece: the same object when the piece is not for it, because it is of an attempt
 * whose snapshot is to come or has been passed; null when something was lost, so that the events have to begin again.
 */
export function grow(held: Growing | null, piece: Piece): Growing | null {
  if (held === null) return null;
  if (piece.attempt !== held.attempt) return held;
  const text = held[piece.of];
  if (text.length < piece.offset) return null;
  const next = text.length === piece.offset ? text + piece.text : text.slice(0, piece.offset) + piece.text;
  return { ...held, [piece.of]: next };
}

/** takeSnapshot replaces everything, but never goes back to an earlier attempt. */
export function takeSnapshot(held: Growing | null, snapshot: Growing): Growing {
  return held !== null && held.attempt > snapshot.attempt ? held : snapshot;
}
