// What the server says of itself, and whether it has become another one since the page was loaded.
import { useSyncExternalStore } from 'react';
import { SiteDocument } from '../api/generated/documents.ts';
import type { SiteQuery } from '../api/generated/documents.ts';
import { session } from '../api/session.ts';

export type Site = SiteQuery['site'];

interface Known {
  site: Site | null;
  /** The server is not the one that this page came from. */
  isNewer: boolean;
}

let known: Known = { site: null, isNewer: false };
let asking: Promise<void> | null = null;
const listeners = new Set<() => void>();

async function ask() {
  const { site } = await session.run<SiteQuery>(SiteDocument as unknown as string);
  const first = known.site ?? site;
  known = { site: { ...site, version: first.version }, isNewer: first.version !== site.version };
  listeners.forEach((listener) => listener());
}

/** askSite asks again: a line that is back may lead to another server. */
export function askSite() {
  asking ??= ask()
    .catch(() => {})
    .finally(() => (asking = null));
}

let before = session.line.state;
session.onChange(() => {
  const { state } = session.line;
  if (state === 'live' && before !== 'live') askSite();
  before = state;
});

const subscribe = (listener: () => void) => {
  listeners.add(listener);
  if (!known.site) askSite();
  return () => void listeners.delete(listener);
};

/** useSite is null until the server has answered. */
export function useSite(): Site | null {
  return useSyncExternalStore(subscribe, () => known.site);
}

/** The server writes its name into the page, so that it is there before any answer. */
const writtenName = document.title;

export function useSiteName(): string {
  return useSite()?.name ?? writtenName;
}

export function useIsNewer(): boolean {
  return useSyncExternalStore(subscribe, () => known.isNewer);
}
