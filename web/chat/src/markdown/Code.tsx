// A block of code: its language, a button that copies it, and colours when the worker has them.
import { memo, useEffect, useMemo, useRef, useState } from 'react';
import type { ReactNode } from 'react';
import { useTexts } from '../texts/index.ts';
import { highlight } from './highlight.ts';
import type { Piece } from './highlight.ts';
import { isSame, partsOf } from './lines.ts';

/** More than this gets no colours: it would cost more than it helps. */
const maxHighlighted = 200_000;

interface CodeProps {
  text: string;
  language: string;
  /** More of it may come. */
  open: boolean;
}

export const Code = memo(function Code({ text, language, open }: CodeProps) {
  const texts = useTexts().markdown;
  const [wrap, setWrap] = useState(false);
  const name = /^[^\s{,:]{1,40}/.exec(language)?.[0] ?? '';
  const coloured = useColours(text, name.toLowerCase(), open);
  const parts = useMemo(() => {
    if (!coloured || !text.startsWith(coloured.text)) return partsOf([text]);
    const done = coloured.parts.slice(0, -1);
    return [...done, ...partsOf([...coloured.parts[done.length]!, text.slice(coloured.text.length)])];
  }, [coloured, text]);
  return (
    <figure className="md-figure" dir="ltr">
      <figcaption className="md-bar">
        <span className="md-language">{name || texts.code}</span>
        <button type="button" className="md-button" aria-pressed={wrap} onClick={() => setWrap(!wrap)}>
          {texts.wrap}
        </button>
        <CopyButton text={text} />
      </figcaption>
      <pre
        className={wrap ? 'md-pre md-wrap' : 'md-pre'}
        tabIndex={0}
        role="region"
        aria-label={texts.codeIn(name || texts.code)}
      >
        <code>
          {parts.map((pieces, i) => (
            <Part key={i} pieces={pieces} />
          ))}
        </code>
      </pre>
    </figure>
  );
});

const Part = memo(
  function Part({ pieces }: { pieces: Piece[] }) {
    return <span className="md-lines">{elementsOf(pieces)}</span>;
  },
  (before, now) => isSame(before.pieces, now.pieces),
);

function CopyButton({ text }: { text: string }) {
  const texts = useTexts().markdown;
  const [state, setState] = useState<'idle' | 'copied' | 'failed'>('idle');
  useEffect(() => {
    if (state === 'idle') return;
    const timer = setTimeout(() => setState('idle'), 2000);
    return () => clearTimeout(timer);
  }, [state]);
  const copy = () =>
    Promise.resolve()
      .then(() => navigator.clipboard.writeText(text))
      .then(
        () => setState('copied'),
        () => setState('failed'),
      );
  const label = { idle: texts.copy, copied: texts.copied, failed: texts.copyFailed }[state];
  return (
    <button type="button" className="md-button" onClick={() => void copy()}>
      <span aria-live="polite">{label}</span>
    </button>
  );
}

interface Coloured {
  text: string;
  parts: Piece[][];
}

/** useColours asks the worker. While a block grows, it asks again only when the block grew by a quarter. */
function useColours(text: string, language: string, open: boolean): Coloured | undefined {
  const [coloured, setColoured] = useState<Coloured>();
  const asked = useRef({ length: 0, language: '' });
  const isWanted = language !== '' && text.length <= maxHighlighted;
  const isDue = !open || asked.current.language !== language || text.length > asked.current.length * 1.25 + 200;
  const wanted = isWanted && isDue ? text : undefined;
  useEffect(() => {
    if (wanted === undefined) return;
    asked.current = { length: wanted.length, language };
    let isStale = false;
    void highlight(wanted, language).then((pieces) => {
      if (!isStale && pieces) setColoured({ text: wanted, parts: partsOf(pieces) });
    });
    return () => {
      // An answer about a shorter text still fits while the block grows; after that it does not.
      isStale = !open;
    };
  }, [wanted, language, open]);
  return isWanted ? coloured : undefined;
}

function elementsOf(pieces: Piece[]): ReactNode {
  return pieces.map((piece, i) =>
    typeof piece === 'string' ? (
      withControls(piece)
    ) : (
      <span key={i} className={piece[0]}>
        {elementsOf(piece[1])}
      </span>
    ),
  );
}

const controls = /([\u202a-\u202e\u2066-\u2069\u200e\u200f\u061c])/;

/** withControls shows characters that change the order of others: code must be what it looks like. */
export function withControls(text: string): ReactNode {
  if (!controls.test(text)) return text;
  return text.split(controls).map((part, i) =>
    i % 2 ? (
      <span key={i} className="md-control">
        U+{part.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}
      </span>
    ) : (
      part
    ),
  );
}
