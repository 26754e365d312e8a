import { Store } from './store';

/** The endpoint, relative to the page, so that a proxy may serve both under any path. */
export const endpoint = new URL('../graphql', window.location.href);

/** What is kept of one sign-in, under its session's id, in the store that all tabs of the browser share. */
interface Stored {
  accessToken: string;
  refreshToken: string;
  /** When the access token is to be replaced, by the clock of this machine. */
  renewAt: number;
}

/** What has become of a session: its new access token, or undefined when it is over. */
export interface Change {
  sessionId: string;
  accessToken: string | undefined;
}

const store = new Store(`parley-session:${endpoint.pathname}:`);

/** Sessions that nobody has used for so long are forgotten. A refresh token lasts no longer by default. */
const forgetAfter = 30 * 24 * 3_600_000;

const refreshDocument = `mutation Refresh($input: RefreshSessionInput!) {
  refreshSession(input: $input) { accessToken refreshToken }
}`;

/**
 * Sessions keeps the access tokens of this page fresh. It knows a token by the session in it and touches no other: one
 * that somebody has pasted stays as it is. A refresh token works once, and all tabs of the browser share it, so it is
 * used under a lock, by whoever finds first that the access token has ended; the others take what that one has stored.
 */
export class Sessions {
  readonly #listeners = new Set<(change: Change) => void>();
  /** The latest renewal of this page by session: all that want one at the same time share it. */
  readonly #renewals = new Map<string, Promise<string>>();
  /** The lock by which this page says which refresh token of a session it has used last, and what ends it. */
  readonly #used = new Map<string, { name: string; end: () => void }>();

  constructor() {
    // Other tabs of the browser sign out, and renew tokens, too.
    store.onChange((sid, text) => this.#tell(sid, parseStored(text)?.accessToken));
  }

  /** onChange calls listener when a session has a new access token, or is over. It returns what ends that. */
  onChange(listener: (change: Change) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** take keeps the tokens of somebody who has signed in. */
  take(accessToken: string, refreshToken: string): void {
    const claims = claimsOf(accessToken);
    if (!claims) return;
    this.#forgetOld();
    this.#put(claims.sid, accessToken, refreshToken);
  }

  /** drop forgets the session of a token, which is over. */
  drop(accessToken: string): void {
    const claims = claimsOf(accessToken);
    if (!claims) return;
    store.remove(claims.sid);
    this.#tell(claims.sid, undefined);
  }

  /** owns tells whether a token is of a session that can be renewed here. */
  owns(accessToken: string): boolean {
    const claims = claimsOf(accessToken);
    return claims !== undefined && stored(claims.sid) !== undefined;
  }

  /** fresh returns the token to use in place of one that may have ended, or may be about to. */
  async fresh(accessToken: string): Promise<string> {
    const sid = claimsOf(accessToken)?.sid;
    const known = sid && stored(sid);
    if (!known) return accessToken;
    return Date.now() < known.renewAt ? known.accessToken : this.#renew(sid, known.accessToken);
  }

  /** renewed returns the token to use in place of one that the server has refused, or the same when there is none. */
  async renewed(refused: string): Promise<string> {
    const sid = claimsOf(refused)?.sid;
    return sid && stored(sid) ? this.#renew(sid, refused) : refused;
  }

  #renew(sid: string, ended: string): Promise<string> {
    let renewal = this.#renewals.get(sid);
    if (!renewal) {
      renewal = alone(store.name(sid), () => this.#exchange(sid, ended)).finally(() => this.#renewals.delete(sid));
      this.#renewals.set(sid, renewal);
    }
    return renewal;
  }

  /** exchange runs alone. The store may have changed since the caller looked. */
  async #exchange(sid: string, ended: string): Promise<string> {
    const known = (await this.#isUsed(sid)) ? await this.#heard(sid) : stored(sid);
    if (!known) return ended;
    if (known.accessToken !== ended) return known.accessToken;
    this.#use(sid);
    let answer: { data?: { refreshSession?: Stored } | null; errors?: { extensions?: { code?: string } }[] };
    try {
      const response = await fetch(endpoint, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json', Accept: 'application/json' },
        body: JSON.stringify({
          query: refreshDocument,
          operationName: 'Refresh',
          variables: { input: { refreshToken: known.refreshToken } },
        }),
      });
      answer = await response.json();
    } catch {
      return ended; // No answer: the refresh token may be used again for some seconds, and later if it was not taken.
    }
    const next = answer.data?.refreshSession;
    if (next) {
      this.#put(sid, next.accessToken, next.refreshToken);
      return next.accessToken;
    }
    if (answer.errors?.[0]?.extensions?.code === 'UNAUTHENTICATED') this.drop(ended);
    return ended;
  }

  /**
   * isUsed tells whether another tab has used the refresh token that is stored. Browsers hand on what is stored
   * a little later, and locks at once: each tab holds one named after the token that it has used.
   */
  async #isUsed(sid: string): Promise<boolean> {
    const { held = [] } = (await navigator.locks?.query()) ?? {};
    const name = useOf(sid);
    return name !== this.#used.get(sid)?.name && held.some((lock) => lock.name === name);
  }

  #use(sid: string): void {
    const name = useOf(sid);
    if (name === this.#used.get(sid)?.name) return;
    this.#used.get(sid)?.end();
    void navigator.locks?.request(name, () => new Promise<void>((end) => this.#used.set(sid, { name, end })));
  }

  /** heard returns what is stored when another tab has changed it; when none does, as it is after some seconds. */
  #heard(sid: string): Promise<Stored | undefined> {
    return new Promise((resolve) => {
      const finish = () => {
        clearTimeout(limit);
        end();
        resolve(stored(sid));
      };
      const limit = setTimeout(finish, 5000);
      const end = this.onChange((change) => change.sessionId === sid && finish());
    });
  }

  #put(sid: string, accessToken: string, refreshToken: string): void {
    // By the life of the token, not by its end: the clock of the server may be another one.
    const life = claimsOf(accessToken)?.life ?? 0;
    const entry: Stored = { accessToken, refreshToken, renewAt: Date.now() + life - Math.min(60_000, life / 5) };
    store.set(sid, JSON.stringify(entry));
    this.#tell(sid, accessToken);
  }

  #tell(sessionId: string, accessToken: string | undefined): void {
    for (const listener of this.#listeners) listener({ sessionId, accessToken });
  }

  #forgetOld(): void {
    for (const sid of store.keys()) {
      const entry = stored(sid);
      if (!entry || entry.renewAt + forgetAfter < Date.now()) store.remove(sid);
    }
  }
}

/** sessionOf returns the id of the session that a token is of. */
export function sessionOf(accessToken: string): string | undefined {
  return claimsOf(accessToken)?.sid;
}

/** userOf returns the id of the user whom a token is of. */
export function userOf(accessToken: string): string | undefined {
  return claimsOf(accessToken)?.sub;
}

/** useOf is the name of the lock that says that the refresh token which is stored has been used. */
function useOf(sid: string): string {
  return `${store.name(sid)}:${stored(sid)?.refreshToken.slice(-12)}`;
}

/** alone runs work while no other tab of the browser does. Pages of plain HTTP on another host have no locks. */
function alone<T>(name: string, work: () => Promise<T>): Promise<T> {
  return navigator.locks ? (navigator.locks.request(name, work) as Promise<T>) : work();
}

function stored(sid: string): Stored | undefined {
  return parseStored(store.get(sid));
}

function parseStored(text: string | null): Stored | undefined {
  try {
    const entry = JSON.parse(text ?? 'null') as Stored | null;
    return entry && typeof entry.refreshToken === 'string' ? entry : undefined;
  } catch {
    return undefined;
  }
}

/** claimsOf reads what Parley's own access tokens say of themselves; life is in milliseconds. */
function claimsOf(accessToken: string): { sid: string; sub: string; life: number } | undefined {
  try {
    const payload = accessToken.split('.')[1] ?? '';
    const { sid, sub, exp, iat } = JSON.parse(atob(payload.replaceAll('-', '+').replaceAll('_', '/')));
    return typeof sid === 'string' ? { sid, sub, life: (exp - iat) * 1000 } : undefined;
  } catch {
    return undefined;
  }
}
