import { type Answer, isOver, refusal, signedOut } from './refused.js'
import type { Line } from './types.js'
import { backOff, transient } from './wait.js'

/** A subscription while it lasts. */
export interface Subscriber {
  /** The body of the request that begins it, for the first time or again. */
  request(): object
  next(data: unknown): void
  /** The end: of itself, or with what the server refuses it for. */
  end(refused?: Refused): void
}
type Refused = ReturnType<typeof signedOut>

export interface Frame {
  /** As in graphql-transport-ws; and "ready", which wants subscriptions before it is connected. */
  type: string
  id?: string | undefined
  payload?: unknown
}

/** What is used of a WebSocket. */
export interface Socket {
  readonly readyState: number
  onopen: (() => void) | null
  onmessage: ((event: { data: string }) => void) | null
  onclose: ((event: { code?: number }) => void) | null
  onerror: (() => void) | null
  send(frame: string): void
  close(): void
}

/** A WebSocket, or what does as one. */
export type Dialled = new (url: string, protocol: string) => Socket

/** How often the server is asked whether it is there, and how long it may be silent. */
const silence = 10_000
const tokenRefused = 4403
const serverRestarts = 1012

/** Keeps one connection for as long as somebody subscribes. */
export function makeLink(
  dial: () => Promise<Dialled>,
  url: string,
  getToken: () => Promise<string | null>,
  /** The server does not take this token any more. */
  refuse: (token: string) => void,
  changed: (line: Line) => void,
) {
  const subscribers: Record<string, Subscriber> = {}
  /** Empty while it is dialled. */
  let socket: Partial<Socket> | undefined
  let ready = false
  let since = 0
  let failures = 0
  let restarts = false
  let ids = 0
  /** Of the next try, or of what is heard of the connection. */
  let timer: ReturnType<typeof setTimeout> | undefined

  const offline = () => globalThis.navigator?.onLine === false
  const tell = (line: Line) => {
    changed(line)
  }
  const show = (line: Line) =>
    // A server that has said it restarts is given some tries before it counts as lost.
    tell(offline() ? { state: 'offline' } : restarts && failures < 5 ? { state: 'restarting' } : line)
  const say = (type: string, id?: string, payload?: object) => {
    // A socket that closes complains in the console.
    if (socket?.readyState === 1) socket.send!(JSON.stringify({ id, type, payload }))
  }
  const begin = (id: string) => {
    if (ready) say('subscribe', id, subscribers[id]!.request())
  }
  const all = () => Object.keys(subscribers)
  const hangUp = () => {
    clearTimeout(timer)
    const former = socket
    timer = socket = undefined
    ready = false
    if (!former?.close) return
    former.onmessage = null
    former.close()
  }
  const rest = () => {
    if (all()[0]) return
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
    if (!all()[0]) return rest()
    show({ state: 'waiting', retryAt: Date.now() + wait })
    timer = setTimeout(connect, wait)
  }
  const end = (id: string, refused?: Refused) => {
    const subscriber = subscribers[id]
    delete subscribers[id]
    subscriber?.end(refused)
    // The next one often follows at once.
    setTimeout(rest, 0)
  }
  const endAll = (refused?: Refused) => {
    // Who comes next may be somebody else.
    hangUp()
    all().forEach((id) => end(id, refused))
  }
  const connect = async () => {
    if (socket || !all()[0]) return
    clearTimeout(timer)
    timer = undefined
    show({ state: 'connecting' })
    const dialling = (socket = {})
    const [token, Dialled] = await Promise.all([getToken(), dial()]).catch(() => [])
    if (socket !== dialling) return
    if (token === null) return endAll(signedOut())
    if (!token || !all()[0]) return down()
    const from = url[0] === '/' ? location.origin : ''
    const mine = (socket = new Dialled!((from + url).replace(/^http/, 'ws'), 'graphql-transport-ws'))
    const lost = (code?: number) => {
      if (socket !== mine) return
      if (code === tokenRefused) refuse(token)
      down(code)
    }
    const take = ({ id, type, payload }: Frame) => {
      const connected = type === 'connection_ack'
      if (!ready && (connected || type === 'ready')) {
        ready = true
        all().forEach(begin)
      }
      if (connected) {
        since = Date.now()
        restarts = false
        show({ state: 'live' })
      }
      if (type === 'ping') say('pong')
      const subscriber = subscribers[id!]
      if (!subscriber) return
      if (type === 'complete') return end(id!)
      const answer = payload as Answer<unknown>
      const refused = refusal(answer)
      if (!refused) subscriber.next(answer.data)
      else if (isOver(refused)) lost(tokenRefused)
      else if (transient.test(refused.code)) lost()
      else end(id!, refused)
    }
    let heard = false
    timer = setInterval(() => {
      if (!heard) return lost()
      heard = false
      if (ready) say('ping')
    }, silence)
    mine.onopen = () => say('connection_init', undefined, { Authorization: `Bearer ${token}` })
    mine.onmessage = ({ data }) => {
      heard = true
      try {
        take(JSON.parse(data) as Frame)
      } catch {
        lost()
      }
    }
    mine.onerror = () => {} // The close follows.
    mine.onclose = ({ code }) => lost(code)
  }
  return [
    /** Returns how to end it. */
    (subscriber: Subscriber) => {
      const id = `${++ids}`
      subscribers[id] = subscriber
      begin(id)
      if (!timer) connect()
      return () => {
        if (!subscribers[id]) return
        say('complete', id)
        end(id)
      }
    },
    endAll,
    /** What the browser says of the network. */
    () => (offline() ? down() : connect()),
  ] as const
}
