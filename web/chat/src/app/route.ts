// Where the page is: its address says it, so that Back, a reload and a link lead where they should.
import { createElement, useSyncExternalStore } from 'react';
import type { AnchorHTMLAttributes, MouseEvent, ReactNode } from 'react';

export type Route =
  { name: 'start' } | { name: 'talk'; id: string } | { name: 'sign-in' } | { name: 'sign-up' } | { name: 'unknown' };

/** Called before the page goes elsewhere; what is not sent yet can be kept. */
const changed = new Event('parley:route');

export function routeOf(path: string): Route {
  const [, first = '', second, third] = path.split('/');
  if (first === '' && second === undefined) return { name: 'start' };
  if (first === 'c' && second && third === undefined) {
    const id = decoded(second);
    return id === null ? { name: 'unknown' } : { name: 'talk', id };
  }
  if ((first === 'sign-in' || first === 'sign-up') && !second) return { name: first };
  return { name: 'unknown' };
}

function decoded(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}

export function pathOf(id: string | null): string {
  return id === null ? '/' : `/c/${encodeURIComponent(id)}`;
}

/** go shows another place. replace takes the place of where the page is now, as when a new talk gets its id. */
export function go(path: string, { replace = false } = {}) {
  if (path === location.pathname + location.search) return;
  history[replace ? 'replaceState' : 'pushState'](null, '', path);
  dispatchEvent(changed);
}

let path = '';
let route: Route = { name: 'start' };

/** The same object for the same address. */
function current(): Route {
  if (location.pathname !== path) {
    path = location.pathname;
    route = routeOf(path);
  }
  return route;
}

function subscribe(listener: () => void): () => void {
  addEventListener('popstate', listener);
  addEventListener(changed.type, listener);
  return () => {
    removeEventListener('popstate', listener);
    removeEventListener(changed.type, listener);
  };
}

export function useRoute(): Route {
  return useSyncExternalStore(subscribe, current);
}

export interface LinkProps extends AnchorHTMLAttributes<HTMLAnchorElement> {
  to: string;
  children?: ReactNode;
}

/** A link within the page; with a key that opens it elsewhere, it is one of the browser's. */
export function Link({ to, onClick, ...rest }: LinkProps) {
  const follow = (event: MouseEvent<HTMLAnchorElement>) => {
    onClick?.(event);
    if (event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey)
      return;
    event.preventDefault();
    go(to);
  };
  return createElement('a', { ...rest, href: to, onClick: follow });
}
