// The texts of this page that grow.
import { useMemo, useSyncExternalStore } from 'react';
import { newPace, pageClock } from './pace.ts';
import { LiveTexts } from './store.ts';
import type { Growing } from './text.ts';

const pace = newPace(pageClock());
addEventListener('keydown', pace.keyed, { capture: true, passive: true });

export const live = new LiveTexts(pace.nextFrame);

const none = { get: () => null, subscribe: () => () => {} };

/** useLiveText returns the text of a reply while it is written; null without one, and for null. */
export function useLiveText(messageId: string | null): Growing | null {
  const text = useMemo(() => (messageId === null ? none : live.of(messageId)), [messageId]);
  return useSyncExternalStore(text.subscribe, text.get);
}
