// Runs beside the page: a code that is slow to read slows nothing else down.
import highlighter from 'highlight.js/lib/core';
import { aliases, grammars } from './grammars.ts';
import type { Piece } from './highlight.ts';

/** What highlight.js has read, before it makes HTML of it. */
interface Scope {
  scope?: string;
  children: (Scope | string)[];
}

for (const [name, grammar] of Object.entries(grammars)) highlighter.registerLanguage(name, grammar);
for (const [languageName, names] of Object.entries(aliases)) highlighter.registerAliases(names, { languageName });

/** classesOf turns "title.function" into classes as highlight.js does, for its themes know no others. */
function classesOf(scope = ''): string {
  if (scope.startsWith('language:')) return scope.replace(':', '-');
  return scope
    .split('.')
    .map((name, depth) => (depth === 0 ? `hljs-${name}` : name + '_'.repeat(depth)))
    .join(' ');
}

const piecesOf = (children: Scope['children']): Piece[] =>
  children.map((child) => (typeof child === 'string' ? child : [classesOf(child.scope), piecesOf(child.children)]));

self.onmessage = ({ data }: MessageEvent<{ id: number; text: string; language: string }>) => {
  let pieces: Piece[] | null = null;
  try {
    if (highlighter.getLanguage(data.language)) {
      const { _emitter } = highlighter.highlight(data.text, { language: data.language, ignoreIllegals: true });
      pieces = piecesOf((_emitter as unknown as { root: Scope }).root.children);
    }
  } catch {
    // Shown without colours.
  }
  self.postMessage({ id: data.id, pieces });
};
