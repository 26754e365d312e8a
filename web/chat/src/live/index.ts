// The texts of this page that grow.
import { useMemo, useSyncExternalStore } from 'react';
import { LiveTexts } from './store.ts';
import type { Growing } from './text.ts';

export const live = new LiveTexts((paint) => void requestAnimationFrame(paint));

const none = { get: () => null, subscribe: () => () => {} };

/** useLiveText returns the text of a reply while it is written; null without one, and for null. */
export function useLiveText(messageId: string | null): Growing | null {
  const text = useMemo(() => (messageId === null ? none : live.of(messageId)), [messageId]);
  return useSyncExternalStore(text.subscribe, text.get);
}
