// What stands in the box: the draft of a conversation, or the question that is asked again. Only the draft is kept.
import { useCallback, useEffect, useRef, useState } from 'react';
import { drafts } from './box.ts';
import { takeShared } from './shared.ts';

export interface Edit {
  messageId: string;
  content: string;
}

export interface Box {
  text: string;
  setText: (text: string) => void;
  /** Empties the box; the draft stays until forgetDraft, so that it outlives a crash. */
  clear: () => void;
  forgetDraft: () => void;
}

const pauseMs = 250;

export function useBox(user: string | null, id: string | null, edit: Edit | null): Box {
  const placeOf = (whose: string | null) => JSON.stringify([whose, id, edit?.messageId ?? null]);
  const place = placeOf(user);
  const [shown, show] = useState({ place: '', text: '' });
  const unsaved = useRef<(() => void) | null>(null);
  const isDraft = edit === null;

  const flush = useCallback(() => {
    unsaved.current?.();
    unsaved.current = null;
  }, []);

  // What belongs to another place is never shown, not even for a moment.
  let { text } = shown;
  if (shown.place !== place) {
    // What was typed before it was known whose it is stays.
    const typed = user !== null && shown.place === placeOf(null) ? text : '';
    text = edit ? edit.content : typed || (user === null ? '' : drafts.load(user, id));
    show({ place, text });
  }
  useEffect(() => flush, [place, flush]);
  useEffect(() => {
    addEventListener('pagehide', flush);
    return () => removeEventListener('pagehide', flush);
  }, [flush]);

  const setText = useCallback(
    (next: string) => {
      show({ place, text: next });
      if (!isDraft || user === null) return;
      const timer = unsaved.current ? null : setTimeout(flush, pauseMs);
      unsaved.current = () => {
        if (timer !== null) clearTimeout(timer);
        drafts.save(user, id, next);
      };
    },
    [place, isDraft, user, id, flush],
  );

  useEffect(() => {
    // What was only loaded is not written again: meanwhile another page may have sent it, or signed out. What was typed
    // before it was known whose it is has not been written yet.
    if (isDraft && user !== null && text !== '' && text !== drafts.load(user, id)) setText(text);
    // Once for each place: what is typed later is kept as it is typed.
  }, [place]);

  useEffect(() => {
    if (!isDraft || user === null || id !== null) return;
    const shared = takeShared();
    if (shared) setText(text.trim() ? `${text}\n\n${shared}` : shared);
    // Once for each place, below what stands there.
  }, [place]);

  return {
    text,
    setText,
    clear: () => {
      unsaved.current = null;
      show({ place, text: '' });
    },
    forgetDraft: () => {
      if (isDraft && user !== null) drafts.save(user, id, '');
    },
  };
}
