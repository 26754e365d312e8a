// A formula, drawn by Temml, which is loaded with the first one. Until then, and when it has a fault, its source is
// shown.
import { memo, useLayoutEffect, useReducer, useRef, useState } from 'react';
import type * as Temml from './temml.ts';

let loaded: typeof Temml | undefined;
let hasChemistry = false;

const isChemistry = (source: string) => /\\(ce|pu)(?![A-Za-z])/.test(source);

const isLoaded = (source: string) => loaded !== undefined && (hasChemistry || !isChemistry(source));

/** load fetches what a formula needs. What could not be fetched is asked for again by the next one. */
async function load(source: string) {
  try {
    loaded ??= await import('./temml.ts');
    if (!isChemistry(source)) return;
    await loaded.loadChemistry();
    hasChemistry = true;
  } catch {
    // Its source is shown.
  }
}

const maxElements = 4000;

export const Formula = memo(function Formula({ source, display }: { source: string; display: boolean }) {
  const place = useRef<HTMLSpanElement>(null);
  const [isDrawn, setDrawn] = useState(false);
  const [, lookAgain] = useReducer((looks: number) => looks + 1, 0);
  const isReady = isLoaded(source);
  useLayoutEffect(() => {
    if (isReady) return setDrawn(draw(place.current!, source, display));
    setDrawn(false);
    let isGone = false;
    void load(source).then(() => isGone || lookAgain());
    return () => {
      isGone = true;
    };
  }, [isReady, source, display]);
  return (
    <span className={display ? 'md-formula md-display' : 'md-formula'} dir="ltr" tabIndex={display ? 0 : undefined}>
      <span ref={place} hidden={!isDrawn} />
      {!isDrawn && <code className="md-code">{source}</code>}
    </span>
  );
});

/** draw puts a formula into an element and tells whether it could. */
function draw(place: HTMLElement, source: string, display: boolean): boolean {
  const shelf = document.createElement('span');
  try {
    shelf.append(
      loaded!.toMathML(source, {
        displayMode: display,
        throwOnError: true,
        trust: false,
        strict: false,
        maxExpand: 200,
        maxSize: [20, 200],
      }),
    );
  } catch {
    place.replaceChildren();
    return false;
  }
  const all = shelf.querySelectorAll('*');
  if (all.length > maxElements) return false;
  for (const element of all) {
    // Names and links belong to the page, not to what a model wrote.
    element.removeAttribute('id');
    element.removeAttribute('href');
  }
  place.replaceChildren(...shelf.childNodes);
  return true;
}
