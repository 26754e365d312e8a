import { makeLink, type Socket } from './link.js'
import { answerOf, away, isOver, signedOut, unlessOver } from './refused.js'
import { memoryStore } from './stores.js'
import type { Post } from './stream.js'
import type { Line, RunOptions, Session, SessionOptions, SubscribeOptions } from './types.js'
import { leaving, patiently, pause } from './wait.js'

interface Tokens {
  accessToken: string
  refreshToken: string
}

/** An access token lasts 15 minutes. It is renewed before, by how long it has been held: clocks may be wrong. */
const lifetime = 600_000
/** A server answers a request, even one that waits for a reply, within a minute. */
const longest = 70_000

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
  try {
    // A store that cannot tell at once is asked by the first token().
    if (typeof store.load() === 'string') access = ''
  } catch {}

  const { shared } = store
  const channel = shared && globalThis.BroadcastChannel ? new BroadcastChannel(shared) : null
  // In Node it would keep the process.
  ;(channel as { unref?: () => void } | null)?.unref?.()
  if (channel) channel.onmessage = ({ data }) => hold(...(data as Told))

  /** Counts the sessions that have ended: what one user asked for is not asked for another. */
  let endings = 0
  /** An access token, and whether it begins a session of another user. */
  type Told = [token: string | null, begins?: boolean]
  const hold = (...[token, begins]: Told) => {
    const ends = begins ? access : token === null
    if (ends && access) endings++
    access = token
    since = Date.now()
    // What runs belongs to whoever was there before.
    if (ends) link.endAll(signedOut())
    changed()
    return token
  }
  const tell = (...told: Told) => {
    channel?.postMessage(told)
    return hold(...told)
  }

  let queue: Promise<unknown> = Promise.resolve()
  /** One at a time, in this session and over all tabs. */
  const alone = <T>(work: () => Promise<T>): Promise<T> => {
    const locks = shared && globalThis.navigator?.locks
    const turn = queue.then(() => (locks ? (locks.request(shared, work) as Promise<T>) : work()))
    queue = turn.catch(() => {})
    return turn
  }

  const body = (query: string, variables: unknown) => ({ query, variables, documentId: documentId?.(query) })

  const post: Post = (request, token, Accept, signal) =>
    fetch(url, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', Accept, ...(token && { Authorization: `Bearer ${token}` }) },
      body: JSON.stringify(request),
      signal: signal ?? null,
    }).catch(() => Promise.reject(away()))

  const request = async <T>(
    document: string,
    variables?: unknown,
    token?: string | null,
    signal?: AbortSignal,
  ): Promise<T> => {
    // React Native has neither of the two.
    const limit = AbortSignal.any?.([AbortSignal.timeout(longest), ...(signal ? [signal] : [])]) ?? signal
    return (await answerOf<T>(await post(body(document, variables), token, 'application/json', limit))).data!
  }

  const grant = async (name: string, type: string, input: object) => {
    const document = `mutation ($input: ${type}Input!) { ${name}(input: $input) { accessToken refreshToken } }`
    return (await request<Record<string, Tokens>>(document, { input }))[name]!
  }

  const exchange = async (tried?: string): Promise<Tokens | undefined> => {
    const refreshToken = await store.load()
    if (!refreshToken) return
    // Without locks another tab may have been quicker: then there is a new one.
    if (refreshToken === tried) return void (await store.save(null))
    const tokens = await grant('refreshSession', 'RefreshSession', { refreshToken }).catch(unlessOver)
    if (!tokens) return exchange(refreshToken)
    await store.save(tokens.refreshToken)
    return tokens
  }

  /** The access token that comes after this one. */
  const renew = (old: string | null | undefined) =>
    alone(async () => {
      // Who had the lock before has told what it got, which may come a little later.
      if (old && channel) await pause(50)
      if (access === null || (access && access !== old)) return access
      const next = await (store.refresh ? store.refresh().catch(unlessOver) : exchange())
      return tell(next?.accessToken ?? null)
    })

  const token = async () => (access === null || (access && Date.now() - since < lifetime) ? access : renew(access))

  const run = <T, V>(document: string, variables?: V, options: RunOptions = {}): Promise<T> => {
    const mine = endings
    const attempt = async (isSecond?: boolean): Promise<T> => {
      const held = await token()
      if (endings > mine) throw signedOut()
      try {
        return await request<T>(document, variables, held, options.signal)
      } catch (error) {
        if (isSecond || !held || !isOver(error) || !(await renew(held))) throw error
        return attempt(true)
      }
    }
    return patiently(attempt, options)
  }

  const keep = (refreshToken: string | null, ...told: Told) =>
    alone(async () => {
      await store.save(refreshToken)
      tell(...told)
    })
  const adopt = ({ accessToken, refreshToken }: Tokens) => keep(refreshToken, accessToken, true)

  let line: Line = { state: 'idle' }
  const link = makeLink(
    webSocket
      ? () => () => {
          const from = url[0] === '/' ? location.origin : ''
          return new webSocket((from + url).replace(/^http/, 'ws'), 'graphql-transport-ws') as Socket
        }
      : // Browsers have WebSockets: they do not load this.
        async () => {
          const { streams } = await import('./stream.js')
          return () => streams(post)
        },
    token,
    (old) => {
      if (access === old) since = 0
    },
    (next) => {
      line = next
      changed()
    },
  )

  const listen = (verb: 'add' | 'remove') =>
    ['online', 'offline'].forEach((event) => globalThis[`${verb}EventListener`]?.(event, link.network))
  listen('add')

  const subscribe = <T, V>(
    document: string,
    variables?: V | (() => V),
    { signal, again }: SubscribeOptions = {},
  ): AsyncIterableIterator<T> =>
    leaving(signal, (signal) => {
      let waiting: T[] = []
      let begun = false
      let ended = signal.aborted
      let refused: unknown
      let wake = () => {}
      const stop =
        !signal.aborted &&
        link.add({
          request() {
            if (begun) {
              waiting = []
              again?.()
            }
            begun = true
            return body(document, typeof variables === 'function' ? (variables as () => V)() : variables)
          },
          next(data) {
            waiting.push(data as T)
            wake()
          },
          end(error) {
            ended = true
            refused = error
            wake()
          },
        })
      signal.onabort = () => {
        waiting = []
        if (stop) stop()
      }
      return (async function* () {
        for (;;) {
          while (waiting.length) yield waiting.shift()!
          if (refused) throw refused
          if (ended) return
          await new Promise<void>((done) => (wake = done))
        }
      })()
    })

  return {
    url,
    get signedIn() {
      return access != null
    },
    get line() {
      return line
    },
    signUp: async (input) => adopt(await grant('signUp', 'SignUp', input)),
    signIn: async (input) => adopt(await grant('signIn', 'SignIn', input)),
    async signOut() {
      // A store that renews by itself also ends the session by itself.
      if (!store.refresh && (await token())) await run('mutation { signOut { signedOut } }').catch(unlessOver)
      await keep(null, null)
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
      listen('remove')
      link.endAll()
      channel?.close()
    },
  }
}
