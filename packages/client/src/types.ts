// What the functions of this package take and give. The types of the server's schema are in schema.ts, which is
// generated from the SDL.

/** Where the refresh token of a session is kept: memoryStore, localStorageStore, cookieStore, or one of yours. */
export interface Store {
  /** The name of what all tabs share. They renew one at a time under it, and tell each other of new tokens and of
   * sign-outs. Without a name the store belongs to one session alone. */
  readonly shared?: string
  /** The refresh token, or null when there is none. */
  load(): Promise<string | null> | string | null
  /** Keeps the refresh token; null forgets it. */
  save(refreshToken: string | null): Promise<void> | void
  /** Gets the next access token in place of refreshSession: for a cookie that only the server reads. Null when nobody
   * is signed in. Throws Refused, with UNAUTHENTICATED when the session is over. */
  refresh?(): Promise<{ accessToken: string } | null>
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
  /** The id of a known document, for servers that run no other ones (PARLEY_DOCUMENTS_ONLY). It is sent beside the
   * text. */
  documentId?: (document: string) => string | undefined
}

export interface RunOptions {
  signal?: AbortSignal | undefined
  /** How many milliseconds to try for while the server is away or overloaded. The default is a minute. */
  patience?: number
  /** The codes that are tried again. The default is UNAVAILABLE and OVERLOADED. */
  again?: RegExp
}

export interface SubscribeOptions {
  /** Ends the subscription, without an error. */
  signal?: AbortSignal | undefined
  /** Called when the connection is back and the subscription begins anew, before its first response. What had come
   * before and was not taken yet is dropped. */
  again?: () => void
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
  /** Whether there is somebody: false after a sign-out here or elsewhere. With a store that only tells by asking, such
   * as a cookie, it is false until the first token(). */
  readonly signedIn: boolean
  signUp(input: { email: string; password: string; name?: string }): Promise<void>
  signIn(input: { email: string; password: string }): Promise<void>
  /** Ends the session on the server, and forgets it in all tabs. */
  signOut(): Promise<void>
  /** Takes tokens that were got by another way. */
  adopt(tokens: { accessToken: string; refreshToken: string }): Promise<void>
  /** An access token that is good for some time, renewed if need be; one renewal at a time over all tabs. Null when
   * nobody is signed in. */
  token(): Promise<string | null>
  /** Runs a query or a mutation, again after a back-off while the server is away, and once more with a new token. It
   * throws Refused, with UNAVAILABLE when there is no answer. Give a mutation a clientKey: it may arrive twice. */
  run<T, V = Record<string, unknown>>(document: string, variables?: V, options?: RunOptions): Promise<T>
  /** The responses of a subscription on the session's one connection. It ends when the server completes it, throws
   * Refused when the server refuses it, and comes back by itself otherwise: then `again` is called, and variables that
   * are a function are asked for anew. */
  subscribe<T, V = Record<string, unknown>>(
    document: string,
    variables?: V | (() => V),
    options?: SubscribeOptions,
  ): AsyncIterableIterator<T>
  readonly line: Line
  /** Calls listener when signedIn or line have changed, in whichever tab. Returns how to end it. */
  onChange(listener: () => void): () => void
  /** Closes the connection and all subscriptions. The session stays on the server. */
  close(): void
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
  | {
      kind: 'sent'
      clientKey: string
      conversationId: string
      userMessageId: string
      reply: Reply
      deduplicated: boolean
    }
  /** A reply is being written: send again with onBusy, or wait. */
  | { kind: 'busy'; clientKey: string; runningReplyId: string | null }
  /** Somebody has gone on in the conversation: show what is new, and send again with the new head. */
  | { kind: 'stale'; clientKey: string; headId: string | null }
  /** Too much for the server or for this user: send again with the same key after so many milliseconds. send() has
   * waited and tried by itself for as long as `patience` says. The extensions are the refusal's, such as `quota`. */
  | {
      kind: 'overloaded'
      clientKey: string
      code: OverloadedCode
      retryAfterMs: number | null
      extensions: Record<string, unknown>
    }

export type OverloadedCode = 'OVERLOADED' | 'RATE_LIMITED' | 'QUOTA_EXCEEDED' | 'QUEUE_FULL'

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
