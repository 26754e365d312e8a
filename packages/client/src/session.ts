import { dialSocket } from './socket.js'
import { makeLink, type Subscriber } from './link.js'
import { type Refused, answerOf, away, codeOf, nobody, refusal } from './refused.js'
import { memoryStore } from './stores.js'
import type { Line, RunOptions, Session, SessionOptions, SubscribeOptions } from './types.js'
import { patiently, pause } from './wait.js'

interface Tokens {
  accessToken: string
  refreshToken: string
}

/** An access token lasts 15 minutes. It is renewed before, by how long it has been held: clocks may be wrong. */
const lifetime = 600_000
/** A server answers a request, even one that waits for a reply, within a minute. */
const longest = 70_000

const fields = '{ accessToken refreshToken }'

/** Begins with what is in the store. */
export function session({
  url,
  store = memoryStore(),
  fetch = (...request) => globalThis.fetch(...request),
  webSocket = globalThis.WebSocket,
  documentId,
}: SessionOptions): Session {
  const listeners = new Set<() => void>()
  const changed = () => listeners.forEach((listener) => listener())

  // Undefined: nobody has asked yet. Null: nobody is signed in.
  let access: string | null | undefined
  let since = 0
  /** Counts the sessions that have ended: what one user asked for is not asked for another. */
  let endings = 0
  try {
    // A store that cannot tell at once is asked by the first token().
    if (typeof store.load() === 'string') access = ''
  } catch {}

  const channel = store.shared && globalThis.BroadcastChannel ? new BroadcastChannel(store.shared) : null
  // In Node it would keep the process.
  ;(channel as { unref?: () => void } | null)?.unref?.()
  if (channel) channel.onmessage = ({ data: [token, begins] }) => hold(token, begins)

  /** Takes an access token, of the next user when it begins a session. */
  const hold = (token: string | null, begins?: boolean) => {
    const ends = begins ? access : token === null
    if (ends && access) endings++
    access = token
    since = Date.now()
    // What runs belongs to whoever was there before.
    if (ends) link.endAll(nobody())
    changed()
    return token
  }
  const tell = (token: string | null, begins?: boolean) => {
    channel?.postMessage([token, begins])
    return hold(token, begins)
  }

  let queue: Promise<unknown> = Promise.resolve()
  /** One at a time, in this session and over all tabs. */
  const alone = <T>(work: () => Promise<T>): Promise<T> => {
    const locks = store.shared && globalThis.navigator?.locks
    const turn = queue.then(() => (locks ? (locks.request(store.shared!, work) as Promise<T>) : work()))
    queue = turn.catch(() => {})
    return turn
  }

  const body = (document: string, variables: unknown) => ({
    query: document,
    variables,
    documentId: documentId?.(document),
  })

  const post = async (request: object, token: string | null, accept: string, signal?: AbortSignal | null) => {
    const headers: Record<string, string> = { 'Content-Type': 'application/json', Accept: accept }
    if (token) headers.Authorization = `Bearer ${token}`
    try {
      return await fetch(url, { method: 'POST', headers, body: JSON.stringify(request), signal: signal ?? null })
    } catch {
      throw away()
    }
  }

  const request = async <T>(
    document: string,
    variables?: unknown,
    token: string | null = null,
    signal?: AbortSignal | null,
  ): Promise<T> => {
    // React Native has neither of the two.
    const limits = [AbortSignal.timeout?.(longest), signal].filter((limit) => limit) as AbortSignal[]
    const limit = AbortSignal.any ? AbortSignal.any(limits) : signal
    try {
      const answer = await answerOf<T>(await post(body(document, variables), token, 'application/json', limit))
      const refused = refusal(answer)
      if (refused) throw refused
      return answer.data!
    } catch (error) {
      throw signal?.aborted ? signal.reason : error
    }
  }

  const exchange = async (): Promise<{ accessToken: string } | null> => {
    for (;;) {
      const refreshToken = await store.load()
      if (!refreshToken) return null
      try {
        const document = `mutation ($input: RefreshSessionInput!) { refreshSession(input: $input) ${fields} }`
        const { refreshSession } = await request<{ refreshSession: Tokens }>(document, { input: { refreshToken } })
        await store.save(refreshSession.refreshToken)
        return refreshSession
      } catch (error) {
        if (codeOf(error) !== 'UNAUTHENTICATED') throw error
        // Without locks another tab may have been quicker: then there is a new one.
        if ((await store.load()) !== refreshToken) continue
        await store.save(null)
        return null
      }
    }
  }

  /** The access token that comes after this one. */
  const renew = (old: string | null | undefined) =>
    alone(async () => {
      // Who had the lock before has told what it got, which may come a little later.
      if (old && channel) await pause(50)
      if (access === null || (access && access !== old)) return access
      const next = await (store.refresh ? store.refresh() : exchange()).catch((error) => {
        if (codeOf(error) !== 'UNAUTHENTICATED') throw error
        return null
      })
      return tell(next && next.accessToken)
    })

  const token = async () => {
    if (access === null || (access && Date.now() - since < lifetime)) return access
    return renew(access)
  }

  const run = <T, V>(document: string, variables?: V, options: RunOptions = {}): Promise<T> => {
    const mine = endings
    const attempt = async (isSecond?: boolean): Promise<T> => {
      const held = await token()
      if (endings > mine) throw nobody()
      try {
        return await request<T>(document, variables, held, options.signal)
      } catch (error) {
        if (isSecond || !held || codeOf(error) !== 'UNAUTHENTICATED' || !(await renew(held))) throw error
        return attempt(true)
      }
    }
    return patiently(attempt, options)
  }

  const adopt = ({ accessToken, refreshToken }: Tokens) =>
    alone(async () => {
      await store.save(refreshToken)
      tell(accessToken, true)
    })

  const enter = async (name: 'signUp' | 'signIn', type: string, input: object) => {
    const document = `mutation ($input: ${type}!) { ${name}(input: $input) ${fields} }`
    await adopt((await request<Record<string, Tokens>>(document, { input }))[name]!)
  }

  let line: Line = { state: 'idle' }
  const link = makeLink(
    webSocket
      ? dialSocket(webSocket, ((url[0] === '/' ? location.origin : '') + url).replace(/^http/, 'ws'), body)
      : // Browsers have WebSockets: they do not load this.
        async (...wire) => (await import('./stream.js')).dialStream(post, body, answerOf)(...wire),
    token,
    (old) => {
      if (access === old) since = 0
    },
    (next) => {
      line = next
      changed()
    },
  )

  const online = () => void link.connect()
  const offline = () => link.down()
  globalThis.addEventListener?.('online', online)
  globalThis.addEventListener?.('offline', offline)

  const subscribe = <T, V>(
    document: string,
    variables?: V | (() => V),
    { signal, again }: SubscribeOptions = {},
  ): AsyncIterableIterator<T> => {
    const waiting: T[] = []
    let ended = false
    let refused: Refused | undefined
    let wake = () => {}
    const subscriber: Subscriber = {
      document,
      variables: () => (typeof variables === 'function' ? (variables as () => V)() : variables),
      next(data) {
        waiting.push(data as T)
        wake()
      },
      end(error) {
        ended = true
        refused = error
        wake()
      },
      again() {
        waiting.length = 0
        again?.()
      },
    }
    const stop = () => link.end(subscriber)
    signal?.addEventListener('abort', stop)
    if (signal?.aborted) ended = true
    else link.add(subscriber)
    return {
      [Symbol.asyncIterator]() {
        return this
      },
      async next() {
        while (!waiting.length && !ended) await new Promise<void>((done) => (wake = done))
        if (waiting.length) return { value: waiting.shift()!, done: false }
        const error = refused
        refused = undefined
        if (error) throw error
        return this.return!()
      },
      async return() {
        waiting.length = 0
        stop()
        signal?.removeEventListener('abort', stop)
        return { value: undefined, done: true }
      },
    }
  }

  return {
    url,
    get signedIn() {
      return access != null
    },
    get line() {
      return line
    },
    signUp: (input) => enter('signUp', 'SignUpInput', input),
    signIn: (input) => enter('signIn', 'SignInInput', input),
    async signOut() {
      // A store that renews by itself also ends the session by itself.
      if (!store.refresh && (await token())) {
        await run('mutation { signOut { signedOut } }').catch((error) => {
          if (codeOf(error) !== 'UNAUTHENTICATED') throw error
        })
      }
      await alone(async () => {
        await store.save(null)
        tell(null)
      })
    },
    adopt,
    token,
    run,
    subscribe,
    onChange(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    close() {
      globalThis.removeEventListener?.('online', online)
      globalThis.removeEventListener?.('offline', offline)
      link.endAll()
      channel?.close()
    },
  }
}
