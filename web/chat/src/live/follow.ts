// Follows the open talk by its one subscription, for as long as it is open.
import { Refused, turns } from '@parley/client';
import type { Session } from '@parley/client';
import { TalkEventsDocument } from '../api/generated/documents.ts';
import type { TalkEventsSubscription } from '../api/generated/documents.ts';

export type TalkEvent = TalkEventsSubscription['conversationEvents'];

/** What a listener says of an event: go on, begin again because something was lost, or that it was the last. */
export type Verdict = 'on' | 'again' | 'end';

export interface Listener {
  event(event: TalkEvent): Verdict;
  /** There is no such talk, or it is not ours. */
  refused(code: string): void;
}

/** follow brings the events of a talk until the signal ends it. Whatever is cut begins again with a snapshot. */
export async function follow(session: Pick<Session, 'subscribe'>, id: string, listener: Listener, signal: AbortSignal) {
  // One loss is mended at once; a server that loses all the time is not asked all the time.
  for await (const _ of turns(signal)) {
    const one = new AbortController();
    const end = () => one.abort();
    signal.addEventListener('abort', end, { once: true });
    try {
      const events = session.subscribe<TalkEventsSubscription>(
        String(TalkEventsDocument),
        { id },
        { signal: one.signal },
      );
      for await (const { conversationEvents: event } of events) {
        if (signal.aborted) return;
        const verdict = listener.event(event);
        if (verdict === 'end') return;
        if (verdict === 'again') break;
      }
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof Refused && !isPassing(error.code)) return listener.refused(error.code);
    } finally {
      signal.removeEventListener('abort', end);
      one.abort();
    }
  }
}

function isPassing(code: string): boolean {
  return ['UNAVAILABLE', 'OVERLOADED', 'RATE_LIMITED', 'INTERNAL', 'OPERATION_TOO_COMPLEX'].includes(code);
}
