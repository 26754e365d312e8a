// What stands in the box: the draft of a conversation, or the question that is asked again. Only the draft is kept.
import { useCallback, useEffect, useRef, useState } from 'react';
import { drafts } from './box.ts';

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
  const [text, show] = useState(edit?.content ?? '');
  const unsaved = useRef<(() => void) | null>(null);
  const isDraft = edit === null;
  const editKey = edit?.messageId ?? null;

  const flush = useCallback(() => {
    unsaved.current?.();
    unsaved.current = null;
  }, []);

  useEffect(() => {
    show(editKey === null ? (user === null ? '' : drafts.load(user, id)) : (edit?.content ?? ''));
    return flush;
    // A new content of the same message does not throw away what is typed.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [user, id, editKey, flush]);

  useEffect(() => {
    addEventListener('pagehide', flush);
    return () => removeEventListener('pagehide', flush);
  }, [flush]);

  const setText = useCallback(
    (next: string) => {
      show(next);
      if (!isDraft || user === null) return;
      const timer = unsaved.current ? null : setTimeout(flush, pauseMs);
      unsaved.current = () => {
        if (timer !== null) clearTimeout(timer);
        drafts.save(user, id, next);
      };
    },
    [isDraft, user, id, flush],
  );

  return {
    text,
    setText,
    clear: () => {
      unsaved.current = null;
      show('');
    },
    forgetDraft: () => {
      if (isDraft && user !== null) drafts.save(user, id, '');
    },
  };
}
