// The open talk for components.
import { useEffect, useMemo, useSyncExternalStore } from 'react';
import { session } from '../api/session.ts';
import { live } from '../live/index.ts';
import { OpenTalk } from './open.ts';
import type { World } from './open.ts';

const world: World = { session, live, retry: (tries) => online(Math.min(10_000, 500 * 2 ** tries)) };

/** Ends with the time, or as soon as the line is there again. */
function online(ms: number): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      off();
      resolve();
    };
    const timer = setTimeout(end, ms);
    let before = session.line.state;
    const off = session.onChange(() => {
      const { state } = session.line;
      if (state === 'live' && before !== 'live') end();
      before = state;
    });
  });
}

/** So many talks are kept for coming back. */
const keptTalks = 8;
const talks = new Map<string, OpenTalk>();

session.onChange(() => {
  if (!session.signedIn) talks.clear();
});

/** talkOf returns a talk, and keeps the last few. */
export function talkOf(id: string): OpenTalk {
  const talk = talks.get(id) ?? new OpenTalk(world, id);
  talks.delete(id);
  talks.set(id, talk);
  for (const [old] of talks) {
    if (talks.size <= keptTalks) break;
    talks.delete(old);
  }
  return talk;
}

/** useTalk returns what there is of a talk, and keeps it in step while it is shown. */
export function useTalk(id: string) {
  const talk = useMemo(() => talkOf(id), [id]);
  useEffect(() => talk.open(), [talk]);
  const state = useSyncExternalStore(talk.subscribe, talk.get);
  const { line } = state;
  return {
    ...state,
    talk,
    conversation: line?.head ?? null,
    messages: line?.messages ?? none,
    running: line?.head.runningReply ?? null,
    queued: line?.head.queuedReplies ?? none,
    headId: line?.head.headId ?? null,
    hasOlder: line?.hasOlder ?? false,
    hasNewer: line?.hasNewer ?? false,
    loadOlder: talk.loadOlder,
    loadNewer: talk.loadNewer,
    loadEnd: talk.loadEnd,
  };
}

const none: readonly never[] = [];

export type TalkOfPage = ReturnType<typeof useTalk>;
