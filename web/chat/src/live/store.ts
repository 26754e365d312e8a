// The texts that grow, outside of React and of the cache: a delta costs a string and at most one paint a frame of the
// one message that shows it.
import { grow, takeSnapshot } from './text.ts';
import type { Growing, Piece } from './text.ts';

/** When the next frame is painted; in a page requestAnimationFrame. */
export type NextFrame = (paint: () => void) => void;

/**
 * LiveText is one reply that is written. What it holds is ahead of what it shows by at most a frame. In a hidden tab no
 * frame comes, and nothing piles up: the newest text waits alone.
 */
export class LiveText {
  private held: Growing | null = null;
  private shown: Growing | null = null;
  private isWaiting = false;
  private readonly listeners = new Set<() => void>();

  constructor(private readonly nextFrame: NextFrame) {}

  /** The text that is shown; the same object until there is another. */
  readonly get = (): Growing | null => this.shown;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
  };

  /** The newest text, also before it is shown. */
  get newest(): Growing | null {
    return this.held;
  }

  snapshot(snapshot: Growing) {
    this.hold(takeSnapshot(this.held, snapshot));
  }

  /** Tells whether nothing was lost. */
  piece(piece: Piece): boolean {
    const next = grow(this.held, piece);
    if (next === null) return false;
    this.hold(next);
    return true;
  }

  private hold(next: Growing) {
    if (next === this.held) return;
    this.held = next;
    if (this.isWaiting) return;
    this.isWaiting = true;
    this.nextFrame(() => {
      this.isWaiting = false;
      if (this.shown === this.held) return;
      this.shown = this.held;
      for (const listener of this.listeners) listener();
    });
  }
}

/** LiveTexts holds one LiveText a reply, until the reply is final. */
export class LiveTexts {
  private readonly texts = new Map<string, LiveText>();

  constructor(private readonly nextFrame: NextFrame) {}

  of(messageId: string): LiveText {
    let text = this.texts.get(messageId);
    if (!text) this.texts.set(messageId, (text = new LiveText(this.nextFrame)));
    return text;
  }

  /** Forgets a reply that is final: the talk has its whole text. Who shows it still keeps the object. */
  drop(messageId: string) {
    this.texts.delete(messageId);
  }

  get size(): number {
    return this.texts.size;
  }
}
