// Keys that work all over the page. The list of them (Ctrl+/) is made from those that are in use.
import { useEffect, useRef, useSyncExternalStore } from 'react';

export interface Binding {
  /** "mod+k", "mod+shift+o", "alt+ArrowLeft", "Escape"; mod is ⌘ on a Mac and Ctrl elsewhere. */
  keys: string;
  /** What it does, as the list says it; without it the key is not listed. */
  label?: string;
}

interface Held extends Binding {
  run: (event: KeyboardEvent) => void | false;
}

export const isMac = /mac|iphone|ipad/i.test(navigator.platform);

let held: readonly Held[] = [];
let listed: readonly Binding[] = [];
const listeners = new Set<() => void>();

function set(next: readonly Held[]) {
  held = next;
  const seen = new Set<string>();
  listed = held.filter(({ keys, label }) => label && !seen.has(keys) && seen.add(keys));
  listeners.forEach((listener) => listener());
}

function nameOf(event: KeyboardEvent): string {
  const mod = isMac ? event.metaKey : event.ctrlKey;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  // What Shift does to a sign is part of the sign: Ctrl+? is Ctrl+/ on many keyboards.
  const hasShift = event.shiftKey && (event.key.length > 1 || /\p{L}/u.test(event.key));
  return [mod && 'mod', event.altKey && 'alt', hasShift && 'shift', key].filter(Boolean).join('+');
}

addEventListener('keydown', (event) => {
  if (event.defaultPrevented || event.isComposing) return;
  // In a dialog Esc is the browser's, wherever the focus is.
  if (event.key === 'Escape' && document.querySelector(':modal')) return;
  const name = nameOf(event);
  // Who came last is asked first; false leaves the key to the next.
  for (const binding of held.toReversed()) {
    if (binding.keys !== name || binding.run(event) === false) continue;
    event.preventDefault();
    return;
  }
});

/** useKey runs a handler on a key while the component is shown. One that returns false has not wanted the key. */
export function useKey(keys: string, handler: (event: KeyboardEvent) => void | false, label?: string) {
  const latest = useRef(handler);
  useEffect(() => {
    latest.current = handler;
  });
  useEffect(() => {
    const one: Held = { keys, label, run: (event) => latest.current(event) };
    set([...held, one]);
    return () => set(held.filter((other) => other !== one));
  }, [keys, label]);
}

const subscribe = (listener: () => void) => {
  listeners.add(listener);
  return () => void listeners.delete(listener);
};

export function useKeys(): readonly Binding[] {
  return useSyncExternalStore(subscribe, () => listed);
}
