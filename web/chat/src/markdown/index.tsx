// A message's text. What reads Markdown is a part of its own, and is fetched as soon as a talk is open: until it is
// there the text stands as it was written.
import { lazy } from 'react';
import { Late } from '../app/Late.tsx';
import type { MarkdownProps } from './Markdown.tsx';
import { bare, withPlaces } from './cite.ts';
import './plain.css';

const load = () => import('./Markdown.tsx').then(({ Markdown: one }) => ({ default: one }));

const Read = lazy(load);

/** fetchMarkdown begins to fetch the part. Without it texts stay as they are written. */
export function fetchMarkdown() {
  void load().catch(() => {});
}

export function Markdown(props: MarkdownProps) {
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
