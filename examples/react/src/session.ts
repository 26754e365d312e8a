// Who is signed in: one store for all tabs of this browser, and the only place where tokens are renewed.
//
// The store is localStorage, because tabs share it. A script that gets into your page can read it: serve the page with
// a Content-Security-Policy.
import { print } from 'graphql'
import { useSyncExternalStore } from 'react'
import { refreshDocument } from './operations'
import type { SessionFieldsFragment } from './generated/graphql'

export type Session = SessionFieldsFragment

const key = 'parley-session'
const ended = 'You are signed out: the session was ended elsewhere, or it was not used for long.'
const listeners = new Set<() => unknown>()
let text: string | null = null
let session: Session | null = null
let notice = ''

/** The session as it is now, in whichever tab it has changed. */
export function getSession(): Session | null {
  const stored = localStorage.getItem(key)
  if (stored !== text) {
    text = stored
    session = stored ? parse(stored) : null
  }
  return session
}

function parse(stored: string): Session | null {
  try {
    return JSON.parse(stored)
  } catch {
    return null // not ours
  }
}

export function setSession(next: Session) {
  notice = ''
  localStorage.setItem(key, JSON.stringify(next))
  listeners.forEach((changed) => changed())
}

/** Forgets the session. The form to sign in says why. */
export function endSession(why = '') {
  notice = why
  localStorage.removeItem(key)
  listeners.forEach((changed) => changed())
}

export const getNotice = () => notice

export function onSession(changed: () => unknown): () => void {
  const inOtherTab = (event: StorageEvent) => {
    if (event.key !== key && event.key !== null) return
    notice = event.newValue ? '' : ended
    changed()
  }
  listeners.add(changed)
  addEventListener('storage', inOtherTab)
  return () => {
    listeners.delete(changed)
    removeEventListener('storage', inOtherTab)
  }
}

export const useSession = () => useSyncExternalStore(onSession, getSession)

/**
 * Gets the tokens that follow a stale access token. A refresh token works once: one tab asks, and the others wait for
 * what it gets. Throws when the server does not answer.
 */
export function renew(stale: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const look = () => getSession()?.accessToken !== stale && resolve()
    const stop = onSession(look) // Whichever tab was quicker.
    exclusively(() => refresh(stale).then(resolve, reject)).finally(stop)
  })
}

async function refresh(stale: string) {
  const held = getSession()
  if (!held || held.accessToken !== stale) return
  const response = await fetch('/graphql', {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({
      query: print(refreshDocument),
      variables: { input: { refreshToken: held.refreshToken } },
    }),
  })
  const { data, errors } = await response.json()
  if (data) return setSession(data.refreshSession)
  if (errors[0].extensions?.code !== 'UNAUTHENTICATED') throw new Error(errors[0].message)
  endSession(ended)
}

/**
 * Runs one task at a time in all tabs, with a second between two: other tabs see the store a little later than the
 * lock. Without https there are no locks, and Parley's ten seconds of grace must do.
 */
async function exclusively(task: () => Promise<void>) {
  if (!navigator.locks) return task()
  await navigator.locks.request(key, async () => {
    await task()
    await new Promise((done) => setTimeout(done, 1_000))
  })
}
