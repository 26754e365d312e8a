// A message's text. What reads Markdown is a part of its own, and is fetched as soon as a talk is open: until it is
// there the text stands as it was written.
import { lazy, useState } from 'react';
import { Late } from '../app/Late.tsx';
import type { MarkdownProps } from './Markdown.tsx';
import { bare, withPlaces } from './cite.ts';
import './plain.css';

type Part = typeof import('./Markdown.tsx');

let loaded: Part['Markdown'] | undefined;

const load = () => import('./Markdown.tsx').then(({ Markdown: one }) => ({ default: (loaded = one) }));

const Read = lazy(load);

/** fetchMarkdown begins to fetch the part. Without it texts stay as they are written. */
export function fetchMarkdown() {
  void load().catch(() => {});
}

export function Markdown(props: MarkdownProps) {
  // A lazy component is waited for also where its part is there: each message would be drawn twice.
  const [Ready] = useState(() => loaded);
  if (Ready) return <Ready {...props} />;
  return (
    <Late until={<Plain {...props} />}>
      <Read {...props} />
    </Late>
  );
}

function Plain({ text, citations = [] }: MarkdownProps) {
  return (
    <div className="md-plain" dir="auto">
      {bare(withPlaces(text, citations)).text}
    </div>
  );
}
