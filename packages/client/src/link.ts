import { Refused } from './refused.js'
import type { Line } from './types.js'
import { backOff } from './wait.js'

/** A subscription while it lasts. */
export interface Subscriber {
  document: string
  variables(): unknown
  next(data: unknown): void
  /** The end: of itself, or with what the server refuses it for. */
  end(refused?: Refused): void
  again(): void
  begun?: boolean
  failures?: number
}

/** A connection that is open or opening. */
export interface Wire {
  add(subscriber: Subscriber): void
  remove(subscriber: Subscriber): void
  close(): void
}

export interface Ends {
  up(): void
  /** The wire is gone: with the code of its close frame, where there was one. */
  down(code?: number): void
  /** The subscription is over. */
  over(subscriber: Subscriber, refused?: Refused): void
}

/** Opens a wire for subscribers, all that there are when it is up. */
export type Dial = (token: string, subscribers: Set<Subscriber>, ends: Ends) => Wire

interface Tokens {
  token(): Promise<string | null>
  /** The server does not take this token any more. */
  refuse(token: string): void
}

const tokenRefused = 4403
const serverRestarts = 1012

/** The code of the close frame of a refused token, also where the refusal comes another way. */
export const closeCode = (refused: Refused) => (refused.code === 'UNAUTHENTICATED' ? tokenRefused : undefined)

/** Keeps a connection for as long as somebody subscribes. */
export class Link {
  readonly subscribers = new Set<Subscriber>()
  #wire: Wire | undefined
  #asking = false
  #up = 0
  #failures = 0
  #restarts = false
  #timer: ReturnType<typeof setTimeout> | undefined

  constructor(
    readonly dial: Dial,
    readonly tokens: Tokens,
    readonly show: (line: Line) => void,
  ) {}

  add(subscriber: Subscriber) {
    this.subscribers.add(subscriber)
    if (this.#up) this.#wire?.add(subscriber)
    else if (!this.#timer) void this.connect()
  }

  remove(subscriber: Subscriber, refused?: Refused) {
    if (!this.subscribers.delete(subscriber)) return
    this.#wire?.remove(subscriber)
    subscriber.end(refused)
    // The next subscription often follows at once.
    if (!this.subscribers.size) setTimeout(() => this.subscribers.size || this.#rest())
  }

  end(refused?: Refused) {
    for (const subscriber of this.subscribers) this.remove(subscriber, refused)
    this.#rest()
  }

  async connect() {
    clearTimeout(this.#timer)
    this.#timer = undefined
    if (this.#wire || this.#asking || !this.subscribers.size) return
    this.#tell({ state: 'connecting' })
    this.#asking = true
    const token = await this.tokens.token().catch(() => undefined)
    this.#asking = false
    if (!this.subscribers.size) return this.#rest()
    if (token) this.#open(token)
    else if (token === null) this.end(new Refused('UNAUTHENTICATED', 'Nobody is signed in.'))
    else this.#down()
  }

  /** The network has gone: what is open does not know yet. */
  cut() {
    const wire = this.#wire
    this.#wire = undefined
    wire?.close()
    if (this.subscribers.size) this.#down()
  }

  #open(token: string) {
    let wire: Wire | undefined
    const current = () => this.#wire === wire
    this.#wire = wire = this.dial(token, this.subscribers, {
      up: () => {
        if (!current()) return
        this.#up = Date.now()
        this.#restarts = false
        this.show({ state: 'live' })
      },
      down: (code) => {
        if (!current()) return
        this.#wire = undefined
        if (code === tokenRefused) this.tokens.refuse(token)
        this.#down(code)
      },
      over: (subscriber, refused) => this.remove(subscriber, refused),
    })
  }

  #down(code?: number) {
    // The first try is at once, unless the connection did not last.
    const lasted = this.#up && Date.now() - this.#up > 1_000
    this.#up = 0
    this.#failures = lasted ? 0 : this.#failures + 1
    if (!this.subscribers.size) return this.#rest()
    if (code === serverRestarts) this.#restarts = true
    const wait = this.#failures === 1 && code === tokenRefused ? 0 : backOff(this.#failures)
    this.#tell({ state: 'waiting', retryAt: Date.now() + wait })
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => void this.connect(), wait)
  }

  /** A server that has said it restarts is given some tries before it counts as lost. */
  #tell(line: Line) {
    const offline = globalThis.navigator?.onLine === false
    this.show(offline ? { state: 'offline' } : this.#restarts && this.#failures < 5 ? { state: 'restarting' } : line)
  }

  #rest() {
    clearTimeout(this.#timer)
    this.#timer = undefined
    const wire = this.#wire
    this.#wire = undefined
    this.#up = this.#failures = 0
    wire?.close()
    this.show({ state: 'idle' })
  }
}
