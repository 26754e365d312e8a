import { type Answer, type Refused, nobody, refusal } from './refused.js'
import type { Line } from './types.js'
import { backOff, transient } from './wait.js'

/** A subscription while it lasts. */
export interface Subscriber {
  document: string
  variables(): unknown
  next(data: unknown): void
  /** The end: of itself, or with what the server refuses it for. */
  end(refused?: Refused): void
  again(): void
  id?: string
}

/** A connection that is open or opening. */
export interface Wire {
  /** Subscribes, now or as soon as it can. */
  begin(subscriber: Subscriber): void
  stop(subscriber: Subscriber): void
  close(): void
}

/** What a wire tells. */
export interface Ends {
  subscribers: Set<Subscriber>
  up(): void
  /** The id of a subscription that begins, for the first time or again: no other one has ever had it. */
  number(subscriber: Subscriber): string
  /** The wire is gone: with the code of its close frame, where there was one. */
  down(code?: number): void
  answer(subscriber: Subscriber, answer: Answer<unknown>): void
  complete(subscriber: Subscriber): void
}

/** Opens a wire. */
export type Dial = (token: string, ends: Ends) => Wire | Promise<Wire>

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
  let ids = 0

  const show = (line: Line) => {
    // A server that has said it restarts is given some tries before it counts as lost.
    const offline = globalThis.navigator?.onLine === false
    tell(offline ? { state: 'offline' } : restarts && failures < 5 ? { state: 'restarting' } : line)
  }
  const hangUp = () => {
    clearTimeout(timer)
    const former = wire
    wire = timer = undefined
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
  const end = (subscriber: Subscriber, refused?: Refused) => {
    if (!subscribers.delete(subscriber)) return
    wire?.stop(subscriber)
    subscriber.end(refused)
    // The next one often follows at once.
    setTimeout(rest, 0)
  }
  const endAll = (refused?: Refused) => subscribers.forEach((subscriber) => end(subscriber, refused))
  const open = async (token: string) => {
    let mine: Wire | undefined
    const lost = (code?: number) => {
      if (wire !== mine) return
      if (code === tokenRefused) refuse(token)
      down(code)
    }
    mine = wire = await dial(token, {
      subscribers,
      up() {
        since = Date.now()
        restarts = false
        show({ state: 'live' })
      },
      number(subscriber) {
        if (subscriber.id) subscriber.again()
        return (subscriber.id = `${++ids}`)
      },
      down: lost,
      answer(subscriber, answer) {
        const refused = refusal(answer)
        if (!refused) subscriber.next(answer.data)
        else if (refused.code === 'UNAUTHENTICATED') lost(tokenRefused)
        else if (transient.test(refused.code)) lost()
        else end(subscriber, refused)
      },
      complete: end,
    })
    // A socket does so when it is ready.
    subscribers.forEach(mine.begin)
  }
  const connect = async () => {
    clearTimeout(timer)
    timer = undefined
    if (wire || asking || !subscribers.size) return
    show({ state: 'connecting' })
    asking = true
    const token = await getToken().catch(() => undefined)
    if (token && subscribers.size) await open(token)
    asking = false
    if (token || !subscribers.size) rest()
    else if (token === null) endAll(nobody())
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
    connect,
    down,
  }
}
