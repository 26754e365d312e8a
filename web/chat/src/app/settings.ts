// What a person has chosen for this page on this device. It is kept in the browser, and a browser that keeps nothing
// still has it until the page is closed.
import { useSyncExternalStore } from 'react';
import { languages } from '../texts/index.ts';
import type { Language } from '../texts/index.ts';
import type { Loudness } from './announce.ts';

export interface Settings {
  theme: 'system' | 'light' | 'dark';
  /** Null: as the browser says. */
  language: Language | null;
  announce: Loudness;
}

const key = 'parley:settings';
const known: { [K in keyof Settings]: readonly Settings[K][] } = {
  theme: ['system', 'light', 'dark'],
  language: [null, ...languages],
  announce: ['all', 'end', 'nothing'],
};

let settings: Settings = read();
const listeners = new Set<() => void>();

function read(): Settings {
  let stored: Record<string, unknown> = {};
  try {
    stored = (JSON.parse(localStorage.getItem(key) ?? '{}') as Record<string, unknown> | null) ?? {};
  } catch {}
  const one = <K extends keyof Settings>(name: K): Settings[K] =>
    known[name].find((value) => value === stored[name]) ?? known[name][0]!;
  return { theme: one('theme'), language: one('language') ?? null, announce: one('announce') };
}

/** keepSettings writes them again: signing out empties the browser's store. */
export function keepSettings() {
  try {
    localStorage.setItem(key, JSON.stringify(settings));
  } catch {}
}

function change(next: Settings) {
  settings = next;
  listeners.forEach((listener) => listener());
}

export function setSetting<K extends keyof Settings>(name: K, value: Settings[K]) {
  change({ ...settings, [name]: value });
  keepSettings();
}

export function readSetting<K extends keyof Settings>(name: K): Settings[K] {
  return settings[name];
}

// Another tab has chosen.
addEventListener('storage', (event) => {
  if (event.key === key && event.newValue !== null) change(read());
});

const subscribe = (listener: () => void) => {
  listeners.add(listener);
  return () => void listeners.delete(listener);
};

export function useSetting<K extends keyof Settings>(name: K): Settings[K] {
  return useSyncExternalStore(subscribe, () => settings[name]);
}
