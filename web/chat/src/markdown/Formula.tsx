// A formula, drawn by Temml, which is loaded with the first one. Until then, and when it has a fault, its source is
// shown.
import { memo, useLayoutEffect, useRef, useState } from 'react';
import type { default as Temml } from 'temml';

let loaded: typeof Temml | undefined;
let loading: Promise<void> | undefined;

function load(): Promise<void> {
  loading ??= import('temml').then(
    (module) => {
      loaded = module.default;
    },
    () => {
      loading = undefined;
    },
  );
  return loading;
}

const maxElements = 4000;

export const Formula = memo(function Formula({ source, display }: { source: string; display: boolean }) {
  const place = useRef<HTMLSpanElement>(null);
  const [isReady, setReady] = useState(loaded !== undefined);
  const [isDrawn, setDrawn] = useState(false);
  useLayoutEffect(() => {
    if (!isReady) {
      let isGone = false;
      void load().then(() => !isGone && setReady(loaded !== undefined));
      return () => {
        isGone = true;
      };
    }
    setDrawn(draw(place.current!, source, display));
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
    loaded!.render(source, shelf, {
      displayMode: display,
      throwOnError: true,
      trust: false,
      strict: false,
      maxExpand: 200,
      maxSize: [20, 200],
    });
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
