// Whether somebody is signed in, asked once at the start, and what happens when that changes. Whatever one person has
// seen leaves the page with the session: the page is loaded anew.
import { useSyncExternalStore } from 'react';
import { session } from '../api/session.ts';
import { forgetTyped } from '../composer/box.ts';
import { keepSettings } from './settings.ts';

export type Who = 'asking' | 'away' | 'nobody' | 'somebody';

let who: Who = 'asking';
let isLeaving = false;
const listeners = new Set<() => void>();

function set(next: Who) {
  if (who === next) return;
  who = next;
  listeners.forEach((listener) => listener());
}

/** How long to wait after a failure: longer each time, and not as long as everybody else. */
const pauseOf = (failures: number) => Math.min(15_000, 500 * 2 ** failures) * (0.75 + Math.random() / 2);

async function ask(failures = 0) {
  try {
    await session.token();
    set(session.signedIn ? 'somebody' : 'nobody');
  } catch {
    set('away');
    const again = () => {
      clearTimeout(timer);
      removeEventListener('online', again);
      void ask(failures + 1);
    };
    const timer = setTimeout(again, pauseOf(failures));
    addEventListener('online', again);
  }
}

void ask();

session.onChange(() => {
  if (isLeaving || who === 'asking' || who === 'away') return;
  if (session.signedIn) return set('somebody');
  if (who !== 'somebody') return;
  isLeaving = true;
  // What was chosen for this device is no secret, and may stay.
  keepSettings();
  location.assign(`/sign-in?ended&to=${encodeURIComponent(location.pathname)}`);
});

// Back may bring a page as it was: by now it may be of somebody who has signed out.
addEventListener('pageshow', ({ persisted }) => persisted && location.reload());

/** leave signs out here. It fails when the server cannot be reached: then nothing has changed. */
export async function leave() {
  isLeaving = true;
  try {
    await session.signOut();
  } catch (error) {
    isLeaving = false;
    throw error;
  }
  // What was typed is of whoever leaves; what was chosen for this device stays.
  forgetTyped();
  keepSettings();
  location.assign('/sign-in');
}

/** whereTo is where to go on after a sign-in: a path of this page, whatever the address says. */
export function whereTo(search: string): string {
  const to = new URLSearchParams(search).get('to') ?? '/';
  return /^\/(c\/[\w%.~-]+)?$/.test(to) ? to : '/';
}

const subscribe = (listener: () => void) => {
  listeners.add(listener);
  return () => void listeners.delete(listener);
};

export function useWho(): Who {
  return useSyncExternalStore(subscribe, () => who);
}
