// The drafts and the outbox of this page, in the world of a browser.
import { useEffect, useSyncExternalStore } from 'react';
import { useQuery } from 'urql';
import { ViewerDocument } from '../api/generated/documents.ts';
import { session } from '../api/session.ts';
import { Drafts } from './drafts.ts';
import { Outbox } from './outbox.ts';
import type { World } from './outbox.ts';
import { post } from './post.ts';
import type { Outgoing } from './sends.ts';

export const drafts = new Drafts(() => localStorage);

const world: World = {
  get storage() {
    return localStorage;
  },
  post: (entry, created) => post(session, entry, created),
  // Pages that are served without https have no locks. Then the key alone makes one message of two sends.
  lock: (name, work) => (navigator.locks ? navigator.locks.request(name, work) : work()),
  pause,
  now: Date.now,
  random: Math.random,
};

export const outbox = new Outbox(world);

function pause(ms: number, forLine: boolean): Promise<void> {
  return new Promise((resolve) => {
    const ends = [() => clearTimeout(timer)];
    const end = () => {
      ends.forEach((one) => one());
      resolve();
    };
    const timer = setTimeout(end, ms);
    if (!forLine) return;
    let before = session.line.state;
    ends.push(
      session.onChange(() => {
        const { state } = session.line;
        if (state === 'live' && before !== 'live') end();
        before = state;
      }),
    );
    addEventListener('online', end, { once: true });
    ends.push(() => removeEventListener('online', end));
  });
}

addEventListener('storage', ({ key }) => outbox.changed(key));
session.onChange(() => session.signedIn && outbox.resume());
drafts.sweep();

/** forgetTyped throws away what this device keeps of anybody: for the end of a session that the user asks for. */
export function forgetTyped() {
  drafts.forget();
  outbox.forget();
}

/** useOutbox returns what is sent and not stored yet, in all conversations of whoever is signed in. */
export function useOutbox(): readonly Outgoing[] {
  return useSyncExternalStore(outbox.subscribe, () => outbox.entries);
}

/** useSender returns the id of whoever is signed in, and lets go what an earlier page left of theirs. */
export function useSender(): string | null {
  const [{ data }] = useQuery({ query: ViewerDocument });
  const user = data?.viewer?.id ?? null;
  useEffect(() => {
    if (user) outbox.start(user);
  }, [user]);
  return user;
}
