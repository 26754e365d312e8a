// Places of citations, carried through the reading of Markdown by two characters that no text has.
export interface Citation {
  title: string;
  url: string;
  /** Where it stands in the text, in UTF-16 units. */
  place: number;
}

const open = '\ufdd0';
const close = '\ufdd1';
const places = /\ufdd0(\d+)\ufdd1/g;

/** withPlaces puts the places of citations into the text. Without citations it only takes our two characters out. */
export function withPlaces(text: string, citations: readonly Citation[]): string {
  const clean = text.replace(/[\ufdd0\ufdd1\0]/g, '\ufffd');
  if (citations.length === 0) return clean;
  const order = citations.map((citation, index) => ({
    index,
    place: Math.min(Math.max(citation.place, 0), clean.length),
  }));
  order.sort((a, b) => a.place - b.place || a.index - b.index);
  let marked = '';
  let from = 0;
  for (const { index, place } of order) {
    marked += clean.slice(from, place) + open + index + close;
    from = place;
  }
  return marked + clean.slice(from);
}

/** cut splits text at the places: strings, and indexes of citations. */
export function cut(text: string): (string | number)[] {
  if (!text.includes(open)) return [text];
  return text
    .split(places)
    .map((part, i) => (i % 2 ? Number(part) : part))
    .filter((part) => part !== '');
}

/** bare takes the places out, and says which they were. */
export function bare(text: string): { text: string; found: number[] } {
  if (!text.includes(open)) return { text, found: [] };
  return { text: text.replace(places, ''), found: [...text.matchAll(places)].map((match) => Number(match[1])) };
}
