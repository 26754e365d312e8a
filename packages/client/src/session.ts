import { makeLink, type Dialled } from './link.js'
import { answerOf, isOver, none, type Refused, signedOut, unlessOver } from './refused.js'
import { memoryStore } from './stores.js'
import type { Post } from './stream.js'
import type { Line, RunOptions, Session, SessionOptions, SubscribeOptions } from './types.js'
import { backOff, leaving, pause, transient, within } from './wait.js'

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
  fetch: own,
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
  if (channel) {
    // In Node it would keep the process.
    ;(channel as { unref?: () => void }).unref?.()
    channel.onmessage = ({ data }) => hold(data as Told)
  }

  /** Counts the sessions that have ended: what one user asked for is not asked for another. */
  let endings = 0
  /** An access token, and whether it begins a session of another user. */
  type Told = [token: string | null, begins?: boolean]
  const hold = ([token, begins]: Told) => {
    if (access && (begins || !token)) {
      endings++
      // What runs belongs to whoever was there before.
      endAll(signedOut())
    }
    access = token
    since = Date.now()
    changed()
    return token
  }
  const tell = (...told: Told) => {
    channel?.postMessage(told)
    return hold(told)
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
    (own ?? fetch)(url, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', Accept, ...(token && { Authorization: `Bearer ${token}` }) },
      body: JSON.stringify(request),
      signal,
    })

  const request = async <T>(document: string, variables?: unknown, token?: string | null, outer?: AbortSignal) => {
    const [signal, end] = within(outer, longest)
    try {
      const asked = post(body(document, variables), token, 'application/json', signal)
      return (await answerOf<T>(await asked.catch(none))).data!
    } finally {
      end()
    }
  }

  const grant = async (name: string, type: string, input: object) => {
    const document = `mutation($input:${type}Input!){${name}(input:$input){accessToken refreshToken}}`
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

  const isGood = () => access === null || (access && Date.now() - since < lifetime)
  const token = async (): Promise<string | null> =>
    isGood()
      ? access!
      : alone(async () => {
          // Who had the lock before has told what it got, which may come a little later.
          if (access && channel) await pause(50)
          if (isGood()) return access!
          const next = await (store.refresh ? store.refresh().catch(unlessOver) : exchange())
          return tell(next?.accessToken ?? null)
        })
  /** The server does not take this token any more. */
  const refuse = (token: string) => {
    if (access === token) since = 0
  }

  const run = async <T, V>(
    document: string,
    variables?: V,
    { patience = 60_000, signal, again = transient }: RunOptions = {},
  ): Promise<T> => {
    const mine = endings
    const end = Date.now() + patience
    for (let failures = 0, renewals = 0; !signal?.aborted;) {
      let held: string | null | undefined
      try {
        held = await token()
        if (endings > mine) throw signedOut()
        return await request<T>(document, variables, held, signal)
      } catch (error) {
        if (held && isOver(error) && !renewals++) refuse(held)
        else {
          const { code, extensions } = error as Refused
          const asked = ((extensions?.retryAfter ?? 0) as number) * 1_000 * (1 + Math.random() / 5)
          const wait = Math.max(asked, backOff(failures++))
          if (!signal?.aborted && (!again.test(code) || Date.now() + wait > end)) throw error
          await pause(wait, signal)
        }
      }
    }
    throw signal!.reason
  }

  const adopt = ({ accessToken, refreshToken }: Tokens | Record<keyof Tokens, null>) =>
    alone(async () => {
      await store.save(refreshToken)
      tell(accessToken, true)
    })

  let line: Line = { state: 'idle' }
  const [add, endAll, network] = makeLink(
    // Browsers have WebSockets: they do not load the other.
    async () => (webSocket ?? (await import('./stream.js')).streams(post)) as Dialled,
    url,
    token,
    refuse,
    (next) => {
      line = next
      changed()
    },
  )

  const [signal, end] = within()
  for (const event of ['online', 'offline']) globalThis.addEventListener?.(event, network, { signal })

  const subscribe = <T, V>(
    document: string,
    variables?: V | (() => V),
    { signal, again }: SubscribeOptions = {},
  ): AsyncIterableIterator<T> =>
    leaving(signal, (signal) => {
      let waiting: T[] | undefined
      let ended = false
      let refused: unknown
      let wake = () => {}
      if (!signal.aborted)
        signal.onabort = add({
          request() {
            if (waiting) again?.()
            waiting = []
            return body(document, typeof variables === 'function' ? (variables as () => V)() : variables)
          },
          next(data) {
            waiting!.push(data as T)
            wake()
          },
          end(error) {
            ended = true
            refused = error
            wake()
          },
        })
      return (async function* () {
        while (!signal.aborted) {
          if (waiting?.length) yield waiting.shift()!
          else if (refused) throw refused
          else if (ended) return
          else await new Promise<void>((done) => (wake = done))
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
      if (!store.refresh && (await token())) await run('mutation{signOut{signedOut}}').catch(unlessOver)
      await adopt({ accessToken: null, refreshToken: null })
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
      end()
      endAll()
      channel?.close()
    },
  }
}
