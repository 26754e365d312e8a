// What the functions of this package take and give. The types of the server's schema are in schema.ts, which is
// generated from the SDL.

/** Where the tokens of a session are kept. A browser page that has a cookie for it has one of its own. */
export interface Store {
  /** The refresh token, or null when there is none. */
  load(): Promise<string | null> | string | null
  /** Keeps the refresh token; null forgets it. */
  save(refreshToken: string | null): Promise<void> | void
  /** Exchanges the refresh token for new ones in place of refreshSession: a page whose cookie only its server reads. Throws
   * Refused with UNAUTHENTICATED when the session is over. */
  refresh?(): Promise<{ accessToken: string }>
}

export interface SessionOptions {
  /** The GraphQL endpoint, "https://chat.example.org/graphql". In a page it may be relative. */
  url: string
  /** Where the refresh token is kept. The default: memory, so that a session ends with its process. */
  store?: Store
  fetch?: typeof fetch
  /** For subscriptions. The default is globalThis.WebSocket; where there is none, or for null, Server-Sent Events over
   * fetch are used. */
  webSocket?: typeof WebSocket | null
}

/** How the connection for subscriptions does. */
export type Line =
  | { state: 'idle' } // nothing is subscribed to
  | { state: 'connecting' }
  | { state: 'live' }
  | { state: 'waiting'; retryAt: number } // Date.now() of the next try
  | { state: 'offline' } // the browser says so
  | { state: 'restarting' } // the server said that it goes away; the next try follows at once

export interface Session {
  readonly url: string
  /** Whether there is somebody: false after a sign-out here or elsewhere. */
  readonly signedIn: boolean
  signUp(input: { email: string; password: string; name?: string }): Promise<void>
  signIn(input: { email: string; password: string }): Promise<void>
  /** Ends the session on the server, and forgets it in all tabs. */
  signOut(): Promise<void>
  /** Takes tokens that were got by another way. */
  adopt(tokens: { accessToken: string; refreshToken: string }): Promise<void>
  /** An access token that is good for some time, renewed if need be; one renewal at a time over all tabs. Null when nobody
   * is signed in. */
  token(): Promise<string | null>
  /** Runs a query or a mutation, again after a back-off while the server is away, and once more with a new token. Throws
   * Refused. Give a mutation a clientKey: it may arrive twice. */
  run<T, V = Record<string, unknown>>(document: string, variables?: V, options?: { signal?: AbortSignal }): Promise<T>
  /** The responses of a subscription on the session's one connection. It ends when the server completes it, throws Refused
   * when the server refuses it, and comes back by itself otherwise: then `again` is called before the first response. */
  subscribe<T, V = Record<string, unknown>>(
    document: string,
    variables?: V,
    options?: { signal?: AbortSignal; again?: () => void },
  ): AsyncIterableIterator<T>
  readonly line: Line
  /** Calls listener when signedIn or line have changed, in whichever tab. Returns how to end it. */
  onChange(listener: () => void): () => void
  /** Closes the connection and all subscriptions. The session stays on the server. */
  close(): void
}

/** What a refusal of the server says. Its codes are in docs/protocol.md. */
export declare class RefusedType extends Error {
  readonly code: string
  /** The error's other extensions: retryAfter, field, headId, … */
  readonly extensions: Record<string, unknown>
}

export interface Reply {
  id: string
  conversationId: string
  status: string
  content: string
  reasoning: string
  attempt: number
  error: { code: string; message: string; retryable: boolean } | null
  finishReason: string | null
}

export interface SendInput {
  content: string
  conversationId?: string | null
  /** Keep it when you send again: however often it arrives, there is one reply. The default is a new one. */
  clientKey?: string
  expectedHeadId?: string | null
  onBusy?: 'REJECT' | 'QUEUE' | 'INTERRUPT'
  model?: string | null
  parameters?: Record<string, unknown> | null
}

/** What came of a send. Everything that a frontend has to decide about is a value; the rest is thrown as Refused. */
export type Sent =
  | { kind: 'sent'; clientKey: string; conversationId: string; userMessageId: string; reply: Reply; deduplicated: boolean }
  /** A reply is being written: send again with onBusy, or wait. */
  | { kind: 'busy'; clientKey: string; runningReplyId: string | null }
  /** Somebody has gone on in the conversation: show what is new, and send again with the new head. */
  | { kind: 'stale'; clientKey: string; headId: string | null }
  /** Too much for the server or for this user: send again with the same key after so many milliseconds. send() has waited
   * and tried by itself for as long as `patience` says. */
  | { kind: 'overloaded'; clientKey: string; code: 'OVERLOADED' | 'RATE_LIMITED' | 'QUOTA_EXCEEDED' | 'QUEUE_FULL'; retryAfterMs: number | null }

/** One state of the text while it grows, the whole of it each time: no character is lost or repeated. */
export interface Followed extends Reply {
  /** False while more is to come. */
  final: boolean
}

export interface OpenMessage extends Reply {
  role: string
  index: number
  clientKey: string | null
  siblingCount: number
  siblingPosition: number
}

/** A conversation as it is shown: its newest messages, and whatever is being written. */
export interface Opened {
  id: string
  name: string
  headId: string | null
  messages: OpenMessage[]
  /** Whether there are older messages than these. */
  hasOlder: boolean
  runningReplyId: string | null
}
