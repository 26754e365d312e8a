// The ids of the page's operations, which a server that runs known documents only (PARLEY_DOCUMENTS_ONLY) looks up.
import { documentIds } from './generated/documents.ts';

/** idOf returns the id of a document by the name of its operation; one without a name by its text. */
export function idOf(document: string): string {
  const name = /(?:query|mutation|subscription)\s+(\w+)/.exec(document)?.[1];
  return `chat:${(name && documentIds[name]) ?? hash(document)}`;
}

/** FNV-1a, twice: it need not be safe, only the same in the build and here. */
function hash(text: string): string {
  const half = (seed: number) => {
    let sum = seed;
    for (let i = 0; i < text.length; i++) sum = Math.imul(sum ^ text.charCodeAt(i), 0x01000193) >>> 0;
    return sum.toString(16).padStart(8, '0');
  };
  return half(0x811c9dc5) + half(0x9747b28c);
}
