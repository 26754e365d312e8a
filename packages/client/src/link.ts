import { type Answer, codeOf, isOver, refusal, signedOut } from './refused.js'
import type { Line } from './types.js'
import { backOff, transient } from './wait.js'

/** A subscription while it lasts. */
export interface Subscriber {
  /** The body of the request that begins it, for the first time or again. */
  request(): object
  next(data: unknown): void
  /** The end: of itself, or with what the server refuses it for. */
  end(refused?: unknown): void
  /** What the wire calls it. */
  id?: string
}

/** A connection that is open or opening. */
export interface Wire {
  /** Subscribes, now or as soon as it can. */
  begin(subscriber: Subscriber): void
  stop(subscriber: Subscriber): void
  close(): void
}

/** Opens a wire. */
export type Dial = (
  token: string,
  subscribers: Set<Subscriber>,
  up: () => void,
  /** The wire is gone: with the code of its close frame, where there was one. */
  down: (code?: number) => void,
  answer: (subscriber: Subscriber, answer: Answer<unknown>) => void,
  end: (subscriber: Subscriber) => void,
  fail: (subscriber: Subscriber, error: unknown) => void,
) => Wire | Promise<Wire>

const tokenRefused = 4403
const serverRestarts = 1012

/** Keeps one connection for as long as somebody subscribes. */
export function makeLink(
  dial: Dial,
  getToken: () => Promise<string | null>,
  /** The server does not take this token any more. */
  refuse: (token: string) => void,
  tell: (line: Line) => void,
) {
  const subscribers = new Set<Subscriber>()
  let wire: Wire | undefined
  let asking = false
  let since = 0
  let failures = 0
  let restarts = false
  let timer: ReturnType<typeof setTimeout> | undefined

  const offline = () => globalThis.navigator?.onLine === false
  const show = (line: Line) =>
    // A server that has said it restarts is given some tries before it counts as lost.
    tell(offline() ? { state: 'offline' } : restarts && failures < 5 ? { state: 'restarting' } : line)
  const stopTimer = () => {
    clearTimeout(timer)
    timer = undefined
  }
  const hangUp = () => {
    stopTimer()
    const former = wire
    wire = undefined
    former?.close()
  }
  const rest = () => {
    if (subscribers.size) return
    hangUp()
    since = failures = 0
    tell({ state: 'idle' })
  }
  const down = (code?: number) => {
    hangUp()
    // The first try is at once, unless the connection did not last.
    failures = since && Date.now() - since > 1_000 ? 0 : failures + 1
    since = 0
    if (code === serverRestarts) restarts = true
    const wait = failures === 1 && code === tokenRefused ? 0 : backOff(failures)
    if (!subscribers.size) return rest()
    show({ state: 'waiting', retryAt: Date.now() + wait })
    timer = setTimeout(connect, wait)
  }
  const end = (subscriber: Subscriber, refused?: unknown) => {
    if (!subscribers.delete(subscriber)) return
    wire?.stop(subscriber)
    subscriber.end(refused)
    // The next one often follows at once.
    setTimeout(rest, 0)
  }
  const endAll = (refused?: unknown) => subscribers.forEach((subscriber) => end(subscriber, refused))
  const open = async (token: string) => {
    let mine: Wire | undefined
    const lost = (code?: number) => {
      if (wire !== mine) return
      if (code === tokenRefused) refuse(token)
      down(code)
    }
    const fail = (subscriber: Subscriber, error: unknown) => {
      const code = codeOf(error)
      if (isOver(error)) lost(tokenRefused)
      else if (!code || transient.test(code)) lost()
      else end(subscriber, error)
    }
    const up = () => {
      since = Date.now()
      restarts = false
      show({ state: 'live' })
    }
    const answer = (subscriber: Subscriber, answer: Answer<unknown>) => {
      const refused = refusal(answer)
      if (refused) fail(subscriber, refused)
      else subscriber.next(answer.data)
    }
    mine = wire = await dial(token, subscribers, up, lost, answer, end, fail)
    // A socket does so when it is ready.
    subscribers.forEach(mine.begin)
  }
  const connect = async () => {
    stopTimer()
    if (wire || asking || !subscribers.size) return
    show({ state: 'connecting' })
    asking = true
    const token = await getToken().catch(() => undefined)
    if (token && subscribers.size) await open(token)
    asking = false
    if (token || !subscribers.size) rest()
    else if (token === null) endAll(signedOut())
    else down()
  }
  return {
    add(subscriber: Subscriber) {
      subscribers.add(subscriber)
      if (wire) wire.begin(subscriber)
      else if (!timer) connect()
    },
    end,
    endAll,
    /** What the browser says of the network. */
    network: () => (offline() ? down() : connect()),
  }
}
