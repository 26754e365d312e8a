// What a screen reader hears of a running reply: whole sentences, never pieces of words, and not faster than it can
// say.

/** So long between two announcements. */
export const apartMs = 2000;

/** sentencesOf returns the whole sentences from a place on, and where the rest begins. While it grows, the last one is
 * not whole, unless a line ends behind it. */
export function sentencesOf(
  text: string,
  from: number,
  isEnd: boolean,
  language: string,
): { said: string; upTo: number } {
  const rest = text.slice(from);
  if (isEnd) return { said: plain(rest), upTo: text.length };
  const segments = [...new Intl.Segmenter(language, { granularity: 'sentence' }).segment(rest)];
  const last = segments[segments.length - 1];
  if (!last) return { said: '', upTo: from };
  // Half of a code block is no sentence.
  const whole = /\n\s*$/.test(last.segment) ? rest.length : last.index;
  const fence = openFence(text.slice(0, from + whole));
  const end = fence === null ? whole : Math.min(whole, Math.max(0, fence - from));
  return { said: plain(rest.slice(0, end)), upTo: from + end };
}

/** openFence returns where a code block begins that has no end yet. */
function openFence(text: string): number | null {
  let open: number | null = null;
  for (const { index } of text.matchAll(/^ {0,3}(```|~~~)/gm)) open = open === null ? index : null;
  return open;
}

/** plain leaves the signs of Markdown away, which would be spelled out. */
export function plain(markdown: string): string {
  return markdown
    .replace(/^ {0,3}(```|~~~)[^\n]*\n?/gm, '')
    .replace(/!?\[([^\]]*)\]\([^)]*\)/g, '$1')
    .replace(/^\s*(#{1,6}|>|[-*+])\s+/gm, '')
    .replace(/(\*\*|__|~~|`)/g, '')
    .replace(/\s+/g, ' ')
    .trim();
}

/** Speaker decides what is said of one reply, and when. */
export class Speaker {
  private upTo = 0;
  private saidAt = -Infinity;

  constructor(
    private readonly language: string,
    /** A reader who comes later does not hear what was there before. */
    from = 0,
  ) {
    this.upTo = from;
  }

  /** Returns what is to be said of a text that has grown, or null for now. */
  next(text: string, now: number): string | null {
    if (text.length < this.upTo) this.upTo = 0;
    if (now - this.saidAt < apartMs) return null;
    const { said, upTo } = sentencesOf(text, this.upTo, false, this.language);
    if (upTo === this.upTo) return null;
    this.upTo = upTo;
    if (said === '') return null;
    this.saidAt = now;
    return said;
  }

  /** What had not been said when the reply ended. */
  end(text: string): string {
    return sentencesOf(text, Math.min(this.upTo, text.length), true, this.language).said;
  }
}

/** wordsOf counts words as a reader of the language does. */
export function wordsOf(text: string, language: string): number {
  let count = 0;
  for (const { isWordLike } of new Intl.Segmenter(language, { granularity: 'word' }).segment(text))
    if (isWordLike) count++;
  return count;
}
