// Follows the open talk by its one subscription, for as long as it is open.
import { Refused } from '@parley/client';
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

const firstPauseMs = 250;
const longestPauseMs = 8000;
/** What has lasted for so long was no failure to begin with. */
const steadyMs = 5000;

/** follow brings the events of a talk until the signal ends it. Whatever is cut begins again with a snapshot. */
export async function follow(session: Pick<Session, 'subscribe'>, id: string, listener: Listener, signal: AbortSignal) {
  let wait = 0;
  while (!signal.aborted) {
    const one = new AbortController();
    const end = () => one.abort();
    signal.addEventListener('abort', end, { once: true });
    const began = Date.now();
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
    // One loss is mended at once; a server that loses all the time is not asked all the time.
    wait = Date.now() - began >= steadyMs ? 0 : Math.min(longestPauseMs, wait * 2 || firstPauseMs);
    await pause(wait, signal);
  }
}

function isPassing(code: string): boolean {
  return ['UNAVAILABLE', 'OVERLOADED', 'RATE_LIMITED', 'INTERNAL', 'OPERATION_TOO_COMPLEX'].includes(code);
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (ms === 0) return Promise.resolve();
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener('abort', () => (clearTimeout(timer), resolve()), { once: true });
  });
}
