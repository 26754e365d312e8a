import { answerOf, none } from './refused.js'
import type { Store } from './types.js'

/** The session ends with its process or page. */
export function memoryStore(): Store {
  let held: string | null = null
  return { load: () => held, save: (token) => void (held = token) }
}

/** The session outlives the page. Every script of the origin can read the token: a page of your own server is better
 * off with a cookie. */
export const localStorageStore = (key = 'parley'): Store => ({
  shared: key,
  load: () => localStorage.getItem(key),
  save: (token) => (token === null ? localStorage.removeItem(key) : localStorage.setItem(key, token)),
})

/** The session of a page that Parley serves itself: the refresh token is in a cookie that no script can read. */
export function cookieStore(url = '/session'): Store {
  const ask = async (method: string, path = '', token?: string | null) => {
    const headers = { 'Parley-Session': '1', ...(token && { 'Content-Type': 'application/json' }) }
    const body = token && JSON.stringify({ refreshToken: token })
    // All tabs wait for one that asks.
    const signal = AbortSignal.timeout?.(30_000)
    const response = await fetch(url + path, { method, headers, body: body || null, signal }).catch(none)
    if (response?.status === 204) return null
    return (await answerOf(response)) as { accessToken: string }
  }
  return {
    shared: url,
    load: () => null,
    save: async (token) => void (await ask(token ? 'POST' : 'DELETE', '', token)),
    refresh: () => ask('POST', '/refresh'),
  }
}
